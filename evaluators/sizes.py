"""The rule by which images are resized: scaled by one factor until they cover the target, cropped at the centre."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def covering(picture: Image.Image, side: int) -> Image.Image:
    """A picture resized by the rule to `side` x `side`."""
    factor = side / min(picture.size)
    width, height = (max(side, round(length * factor)) for length in picture.size)
    resized = picture.resize((width, height), Image.Resampling.BILINEAR)  # antialiases when it shrinks
    left, top = (width - side) // 2, (height - side) // 2
    return resized.crop((left, top, left + side, top + side))


def resized(images: Tensor, side: int) -> Tensor:
    """Images (N, C, H, W), uint8 or float32, resized by the rule to (N, C, side, side)."""
    count, channels, height, width = images.shape
    if (height, width) == (side, side):
        return images
    factor = side / min(height, width)
    size = (max(side, round(height * factor)), max(side, round(width * factor)))
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    result = torch.empty((count, channels, side, side), dtype=images.dtype)
    for start in range(0, count, 1024):  # in pieces: as floats the whole set might not fit
        piece = images[start : start + 1024].float()
        piece = F.interpolate(piece, size, mode="bilinear", antialias=True, align_corners=False)
        piece = piece[:, :, top : top + side, left : left + side]
        result[start : start + 1024] = piece.round().clamp(0, 255) if images.dtype == torch.uint8 else piece
    return result
