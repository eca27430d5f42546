"""Pictures of tensors, as PNG and GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from evaluators.training.checkpoint import State, bytes_to_tensor, tensor_to_bytes

_MILLISECONDS = 3000  # of an animated picture, but for its last frame
_LONGEST = 300
_AT_THE_END = 1500
_MOST_FRAMES, _LEAST_SIDE_MOVING = 30, 24  # animated pictures compress badly


def render_rows(rows: Sequence[Tensor], least_side: int = 32) -> bytes:
    """A PNG whose rows are batches of images, (M, C, H, W) in [0, 1] each and all of the same shape.

    Small images are enlarged by a whole factor until their smaller side is at least `least_side` pixels.
    """
    buffer = io.BytesIO()
    draw_rows(rows, least_side).save(buffer, format="PNG")
    return buffer.getvalue()


def render_gif(frames: Sequence[Image.Image]) -> bytes:
    """A GIF that shows pictures of one size in turn, again and again, the last for longer."""
    each = max(40, min(_LONGEST, _MILLISECONDS // len(frames)))
    buffer = io.BytesIO()
    first, *rest = frames
    durations = [each] * len(rest) + [_AT_THE_END]
    first.save(buffer, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return buffer.getvalue()


def draw_rows(rows: Sequence[Tensor], least_side: int = 32) -> Image.Image:
    """The picture that `render_rows` writes."""
    images = torch.stack([row.detach().cpu().float().clamp(0, 1) for row in rows])
    factor = max(1, -(-least_side // min(images.shape[-2:])))
    lines = [
        F.pad(row.repeat_interleave(factor, 2).repeat_interleave(factor, 3), (1, 1, 1, 1), value=0.5) for row in images
    ]
    drawn = torch.cat([torch.cat(list(line), dim=2) for line in lines], dim=1)
    pixels = (drawn * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))


class Film:
    """The animated picture of a training: at most 30 of its epochs, evenly spread, the first and the last among them.

    Args:
        epochs: how many there will be; None where the training may end earlier.
    """

    def __init__(self, epochs: int | None = None) -> None:
        self._wanted = None if epochs is None else {1 + index for index in _spread_indices(epochs)}
        self._frames: list[bytes] = []

    def add(self, epoch: int, rows: Sequence[Tensor]) -> None:
        """The rows of images after the next epoch; see `render_rows`."""
        if self._wanted is None or epoch in self._wanted:
            self._frames.append(render_rows(rows, _LEAST_SIDE_MOVING))

    def picture(self) -> bytes:
        """All of it, as GIF."""
        shown = [self._frames[index] for index in _spread_indices(len(self._frames))]
        return render_gif([Image.open(io.BytesIO(frame)) for frame in shown])

    def state(self) -> State:
        """Everything to continue from."""
        return {str(index): bytes_to_tensor(frame) for index, frame in enumerate(self._frames)}, {}

    def restore(self, state: State) -> None:
        """Go on from what `state` gave."""
        frames, _ = state
        self._frames = [tensor_to_bytes(frames[str(index)]) for index in range(len(frames))]


def _spread_indices(count: int) -> list[int]:
    """The indices of at most 30 of so many things, evenly spread, the first and the last among them."""
    if count <= _MOST_FRAMES:
        return list(range(count))
    return [round(index * (count - 1) / (_MOST_FRAMES - 1)) for index in range(_MOST_FRAMES)]
