"""The rule by which images are resized: the largest part of the wanted form at the centre is scaled."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from nas.data.pieces import slice_rows

if TYPE_CHECKING:
    from torch import Tensor


def crop_and_resize(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A picture resized by the rule to a height and width."""
    top, left, height, width = _find_centre(picture.height, picture.width, size)
    # cropped first: scaled whole, a long strip would fill the memory
    centre = picture.crop((left, top, left + width, top + height))
    return centre.resize(size[::-1], Image.Resampling.BILINEAR)  # antialiases when it shrinks


def _find_centre(height: int, width: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest part at the centre that has the form of a size: its top, left, height and width."""
    whole = width * size[0] >= height * size[1]  # as high as it is
    part = (height, max(1, height * size[1] // size[0])) if whole else (max(1, width * size[0] // size[1]), width)
    return (height - part[0]) // 2, (width - part[1]) // 2, *part


def resize_images(images: Tensor, size: tuple[int, int], directory: Path | None = None) -> Tensor:
    """Images (N, C, H, W), uint8 or float32, resized by the rule to (N, C, *size).

    Args:
        directory: see nas.data.mapped.allocate.
    """
    import torch
    import torch.nn.functional as F

    from nas.data.mapped import allocate

    count, channels, *sides = images.shape
    if tuple(sides) == size:
        return images
    top, left, height, width = _find_centre(sides[0], sides[1], size)
    result = allocate((count, channels, *size), images.dtype, directory)
    for rows in slice_rows(max(images.shape, result.shape, key=math.prod)):  # as floats the whole set might not fit
        piece = images[rows, :, top : top + height, left : left + width].float()
        piece = F.interpolate(piece, size, mode="bilinear", antialias=True, align_corners=False)
        whole = images.dtype == torch.uint8
        result[rows] = piece.round().clamp(0, 255) if whole else piece.clamp(0, 1)
    return result
