"""Augmentations of images by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor


def _flip(images: Tensor, generator: torch.Generator) -> Tensor:
    mirrored = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def _shift(images: Tensor, generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    most = max(1, min(height, width) // 8)
    padded = F.pad(images, (most, most, most, most), mode="replicate")
    down, right = torch.randint(2 * most + 1, (2, count, 1), generator=generator, device=images.device)
    rows = down + torch.arange(height, device=images.device)  # (N, H)
    columns = right + torch.arange(width, device=images.device)  # (N, W)
    each = torch.arange(count, device=images.device)[:, None, None]
    return padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _shift_half(images: Tensor, generator: torch.Generator) -> Tensor:
    chosen = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    return torch.where(chosen[:, None, None, None], _shift(images, generator), images)


def _flip_shift_half(images: Tensor, generator: torch.Generator) -> Tensor:
    return _shift_half(_flip(images, generator), generator)


AUGMENTATIONS: dict[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "none": lambda images, generator: images,
    "flip": _flip,
    "shift": _shift,
    "shift_half": _shift_half,
    "flip_shift_half": _flip_shift_half,
}
"""Images (N, C, H, W) to others that might as well have been in the data: each left-right with probability one
half, or moved by up to an eighth of the side, its border repeated, or about every second one moved; or both. Where all
are moved, as they are is not how a network learns them: on small data moving a half is better."""
