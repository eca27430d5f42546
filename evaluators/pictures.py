"""Pictures of tensors, as PNG and GIF."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

from evaluators.training.checkpoint import State, bytes_to_tensor, tensor_to_bytes

_MILLISECONDS = 3000  # that all frames but the last are shown for together
_LONGEST = 300  # milliseconds of one frame
_AT_THE_END = 1500  # milliseconds of the last frame
_LINES = (64, 160)  # height and width of a drawing of a sequence
_COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#7f7f7f", "#17becf")  # of channels
_MOST_FRAMES, _LEAST_SIDE_MOVING = 30, 24  # animated pictures compress badly


def render_rows(rows: Sequence[Tensor], least_side: int = 32) -> bytes:
    """Render batches of images, (M, C, H, W) in [0, 1] each and all of one shape, as the rows of a PNG.

    Four channels are colour with alpha, two are red and green, and of more than four the first three are shown.
    Small images are enlarged by a whole factor until their smaller side is at least `least_side` pixels.
    """
    buffer = io.BytesIO()
    draw_rows(rows, least_side).save(buffer, format="PNG")
    return buffer.getvalue()


def render_gif(frames: Sequence[Image.Image]) -> bytes:
    """Render a GIF that repeats pictures of one size, transparent ones on white, and shows the last for longer."""
    each = max(40, min(_LONGEST, _MILLISECONDS // len(frames)))
    buffer = io.BytesIO()
    first, *rest = (_lay_on_white(frame) if frame.mode == "RGBA" else frame for frame in frames)
    durations = [each] * len(rest) + [_AT_THE_END]
    first.save(buffer, format="GIF", save_all=True, append_images=rest, duration=durations, loop=0)
    return buffer.getvalue()


def _lay_on_white(picture: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")


def draw_rows(rows: Sequence[Tensor], least_side: int = 32) -> Image.Image:
    """Draw the picture that `render_rows` renders."""
    images = torch.stack([row.detach().cpu().float().clamp(0, 1) for row in rows])
    if (channels := images.shape[2]) not in (1, 3, 4):
        images = F.pad(images[:, :, :3], (0, 0, 0, 0, 0, max(0, 3 - channels)))
    factor = max(1, -(-least_side // min(images.shape[-2:])))
    lines = [
        F.pad(row.repeat_interleave(factor, 2).repeat_interleave(factor, 3), (1, 1, 1, 1), value=0.5) for row in images
    ]
    drawn = torch.cat([torch.cat(list(line), dim=2) for line in lines], dim=1)
    pixels = (drawn * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels))


def draw_lines(rows: Sequence[Tensor]) -> list[Tensor]:
    """Draw rows of sequences, (M, C, T) each, as rows of images (M, 3, 64, 160), a line of its own colour a channel.

    All have one scale: that of the first row, or twice that where other rows need it; what is missing is left out.
    """
    first = rows[0][~torch.isnan(rows[0])].float()
    low, high = (float(first.min()), float(first.max())) if len(first) else (-1.0, 1.0)
    every = torch.cat([row[torch.isfinite(row)].float().cpu() for row in rows])
    reach = (high - low) / 2 or 1.0
    if len(every):
        low, high = max(low - reach, min(low, float(every.min()))), min(high + reach, max(high, float(every.max())))
    return [torch.stack([_draw_sequence(one, low, max(high, low + 1e-6)) for one in row]) for row in rows]


def _draw_sequence(sequence: Tensor, low: float, high: float) -> Tensor:
    height, width = _LINES
    picture = Image.new("RGB", (width, height), "white")
    pen, values = ImageDraw.Draw(picture), sequence.detach().cpu().double().clamp(low, high)
    across = torch.linspace(0, width - 1, values.shape[1]).tolist()
    for channel, numbers in enumerate(values):
        heights = ((high - numbers) / (high - low) * (height - 1)).tolist()
        points = list(zip(across, heights, strict=True))
        for one, other in itertools.pairwise(points):
            if not (math.isnan(one[1]) or math.isnan(other[1])):
                pen.line((one, other), fill=_COLOURS[channel % len(_COLOURS)])
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


class Film:
    """Collects the frames of a training's GIF: at most 30 epochs, evenly spread, with the first and the last.

    Args:
        epochs: how many there will be; None if the training may end earlier.
    """

    def __init__(self, epochs: int | None = None) -> None:
        self._wanted = None if epochs is None else {1 + index for index in _spread_indices(epochs)}
        self._frames: list[bytes] = []

    def add(self, epoch: int, rows: Sequence[Tensor]) -> None:
        """Add the rows of images after an epoch; see `render_rows`."""
        if self._wanted is None or epoch in self._wanted:
            self._frames.append(render_rows(rows, _LEAST_SIDE_MOVING))

    def picture(self) -> bytes:
        """Render the GIF."""
        shown = [self._frames[index] for index in _spread_indices(len(self._frames))]
        return render_gif([Image.open(io.BytesIO(frame)) for frame in shown])

    def state(self) -> State:
        """Give everything to continue from."""
        return {str(index): bytes_to_tensor(frame) for index, frame in enumerate(self._frames)}, {}

    def restore(self, state: State) -> None:
        """Continue from what `state` gave."""
        frames, _ = state
        self._frames = [tensor_to_bytes(frames[str(index)]) for index in range(len(frames))]


def _spread_indices(count: int) -> list[int]:
    """Choose at most 30 of `count` indices, evenly spread, with the first and the last."""
    if count <= _MOST_FRAMES:
        return list(range(count))
    return [round(index * (count - 1) / (_MOST_FRAMES - 1)) for index in range(_MOST_FRAMES)]
