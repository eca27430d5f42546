"""A program of torch.export, with any batch size."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram


def capture_program(model: nn.Module, inputs: Mapping[str, Tensor]) -> ExportedProgram:
    """Capture `model` as a program, which ONNX is made of as well; its inputs are like `inputs`, (N >= 2, ...) each."""
    batch = torch.export.Dim("batch", min=1)
    with silence_exporter():
        return torch.export.export(model, tuple(inputs.values()), dynamic_shapes=tuple({0: batch} for _ in inputs))


def save_program(program: ExportedProgram, path: Path) -> None:
    """Write a program to one file."""
    with silence_exporter():
        torch.export.save(program, path)


def load_program(path: Path) -> Callable[[Mapping[str, Tensor]], Tensor | tuple[Tensor, ...]]:
    """Load a program as a function of its inputs."""
    with silence_exporter():
        model = torch.export.load(path).module()

    def run(inputs: Mapping[str, Tensor]) -> Tensor | tuple[Tensor, ...]:
        with silence_exporter():
            outputs: Tensor | tuple[Tensor, ...] = model(*inputs.values())
        return outputs

    return run


@contextlib.contextmanager
def silence_exporter() -> Iterator[None]:
    """Silence the progress, warnings and log of torch's exporter, which are about details of its own."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
