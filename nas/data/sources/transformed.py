"""Images of another source, each transformed: domains to translate to that need no download."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from nas.data.catalogue import TRANSFORMED
from nas.data.dataset import Split, as_float, batches
from nas.data.sources import Source


def _edges(images: Tensor) -> Tensor:
    """How bright each pixel's surroundings change, by Sobel's two filters: their norm, at most 1."""
    found = torch.empty_like(images)
    across = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]) / 4
    filters = torch.stack([across, across.T])[:, None]
    for part in batches(images):
        values = as_float(images[part])
        channels = values.flatten(0, 1)[:, None]
        changes = F.conv2d(F.pad(channels, (1, 1, 1, 1), mode="replicate"), filters)
        strength = changes.norm(dim=1).clamp(max=1).view(values.shape)
        found[part] = (strength * 255).round().to(torch.uint8) if images.dtype == torch.uint8 else strength
    return found


TRANSFORMATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "inverted": lambda images: 255 - images if images.dtype == torch.uint8 else 1 - images,
    "rotated": lambda images: images.rot90(1, (2, 3)).contiguous(),
    "edges": _edges,
}
"""Images (N, C, H, W), uint8 or float32 in [0, 1], to as many of the same type; a quarter turn is counter-clockwise."""


def transformed(source: Source, name: str) -> Source:
    """The source with every image transformed; `name` is a key of TRANSFORMATIONS."""
    change = TRANSFORMATIONS[name]

    def changed(part: Split) -> Split:
        return replace(part, examples=change(part.examples))

    test = None if source.test is None else changed(source.test)
    return replace(source, pool=changed(source.pool), test=test, notes=(*source.notes, TRANSFORMED[name]))
