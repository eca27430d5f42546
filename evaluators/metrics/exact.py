"""Scores are computed in float32 and summed in float64, whatever a training computes with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor


@contextlib.contextmanager
def score_exactly(device: torch.device) -> Iterator[None]:
    """Let convolutions be in float32 for a context: by default cuDNN rounds what goes into them to TF32."""
    if device.type != "cuda":
        yield
        return
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def as_double(values: Tensor) -> Tensor:
    """Convert to float64, on the CPU where the device has none (Apple's GPUs)."""
    return values.cpu().double() if values.device.type == "mps" else values.double()
