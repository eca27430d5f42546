"""A program of torch.export, with any batch size."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from nas.export.onnx import quiet


def export_program(model: nn.Module, sample: Tensor, path: Path) -> None:
    """Write `model` as a program; its input is like `sample`, (N >= 2, C, H, W)."""
    with quiet():
        shapes = ({0: torch.export.Dim("batch", min=1)},)
        program = torch.export.export(model, (sample,), dynamic_shapes=shapes)
        torch.export.save(program, path)


def run_program(path: Path, images: Tensor) -> Tensor:
    """What the file gives for images (N, C, H, W)."""
    with quiet():
        result: Tensor = torch.export.load(path).module()(images)
    return result
