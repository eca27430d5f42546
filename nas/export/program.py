"""A program of torch.export, with any batch size."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from nas.export.onnx import silence_exporter


def export_program(model: nn.Module, inputs: Mapping[str, Tensor], path: Path) -> None:
    """Write `model` as a program; its inputs are like `inputs`, (N >= 2, ...) each."""
    batch = torch.export.Dim("batch", min=1)
    with silence_exporter():
        shapes = tuple({0: batch} for _ in inputs)
        program = torch.export.export(model, tuple(inputs.values()), dynamic_shapes=shapes)
        torch.export.save(program, path)


def run_program(path: Path, inputs: Mapping[str, Tensor]) -> Tensor | tuple[Tensor, ...]:
    """What the file gives for these inputs."""
    with silence_exporter():
        result: Tensor | tuple[Tensor, ...] = torch.export.load(path).module()(*inputs.values())
    return result
