"""ONNX, with any batch size."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn


def export_onnx(model: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], path: Path) -> None:
    """Write `model` to one file; its inputs are named and shaped like `inputs`, (N >= 2, ...) each."""
    batch = torch.export.Dim("batch", min=1)
    with silence_exporter():
        torch.onnx.export(
            model,
            tuple(inputs.values()),
            str(path),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=tuple({0: batch} for _ in inputs),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def run_onnx(path: Path, inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
    """What the file gives for these inputs, by onnxruntime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    results = session.run(None, {name: values.numpy() for name, values in inputs.items()})
    return tuple(torch.from_numpy(result) for result in results)


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
