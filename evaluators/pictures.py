"""Pictures of tensors, as PNG and GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

_MILLISECONDS = 3000  # of an animated picture, but for its last frame
_LONGEST = 300
_AT_THE_END = 1500
_MOST_FRAMES = 30


def picture_of_rows(rows: Sequence[Tensor], least_side: int = 32) -> bytes:
    """A PNG whose rows are batches of images, (M, C, H, W) in [0, 1] each and all of the same shape.

    Small images are enlarged by a whole factor until their smaller side is at least `least_side` pixels.
    """
    buffer = io.BytesIO()
    sheet(rows, least_side).save(buffer, format="PNG")
    return buffer.getvalue()


def animated_picture(frames: Sequence[Image.Image]) -> bytes:
    """A GIF that shows pictures of one size in turn, again and again, the last for longer."""
    each = max(40, min(_LONGEST, _MILLISECONDS // len(frames)))
    buffer = io.BytesIO()
    first, *rest = frames
    durations = [each] * len(rest) + [_AT_THE_END]
    first.save(buffer, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return buffer.getvalue()


def spread(frames: list[Image.Image]) -> list[Image.Image]:
    """At most 30 frames, evenly spread, the first and the last among them."""
    if len(frames) <= _MOST_FRAMES:
        return frames
    return [frames[round(i * (len(frames) - 1) / (_MOST_FRAMES - 1))] for i in range(_MOST_FRAMES)]


def sheet(rows: Sequence[Tensor], least_side: int = 32) -> Image.Image:
    """The picture that `picture_of_rows` writes."""
    images = torch.stack([row.detach().cpu().float().clamp(0, 1) for row in rows])
    factor = max(1, -(-least_side // min(images.shape[-2:])))
    lines = [
        F.pad(row.repeat_interleave(factor, 2).repeat_interleave(factor, 3), (1, 1, 1, 1), value=0.5) for row in images
    ]
    drawn = torch.cat([torch.cat(list(line), dim=2) for line in lines], dim=1)
    pixels = (drawn * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))
