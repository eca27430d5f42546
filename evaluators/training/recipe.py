"""Optimisers, learning rate schedules and augmentations by name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluators.training.muon import Muon


def _adam(kind: Callable[..., torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    def make(parameters: Iterable[nn.Parameter], **options: Any) -> torch.optim.Optimizer:
        return kind(parameters, fused=True, **options)  # one kernel a step, on CPU and CUDA alike

    return make


OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": _adam(torch.optim.Adam),
    "adamw": _adam(torch.optim.AdamW),
    "nadam": torch.optim.NAdam,
    "rmsprop": torch.optim.RMSprop,
    "muon": Muon,
}

_WARM_UP = 0.25


def _one_cycle(progress: float) -> float:
    if progress < _WARM_UP:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / _WARM_UP))
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "one_cycle": _one_cycle,
}
"""The factor of the learning rate at a fraction of the training in [0, 1): Loshchilov & Hutter 2017 for the
cosine, Smith & Topin 2018 for the one cycle (up from 1/25 in the first quarter, then down to 0)."""


def _flipped(images: Tensor, generator: torch.Generator) -> Tensor:
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def _shifted(images: Tensor, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    most = max(1, min(height, width) // 8)
    padded = F.pad(images, (most, most, most, most), mode="replicate")
    down, right = torch.randint(2 * most + 1, (2, count, 1), generator=generator, device=images.device)
    rows = down + torch.arange(height, device=images.device)  # (N, H)
    columns = right + torch.arange(width, device=images.device)  # (N, W)
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "none": lambda images, generator: images,
    "flip": _flipped,
    "shift": _shifted,
}
"""Images (N, C, H, W) to others that might as well have been in the data: each left-right with probability one
half, or moved by up to an eighth of the side, its border repeated."""
