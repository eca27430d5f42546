"""The rule by which images are resized: cropped to the largest square at the centre, which is scaled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from torch import Tensor


def crop_and_resize(picture: Image.Image, side: int) -> Image.Image:
    """A picture resized by the rule to `side` x `side`."""
    width, height = picture.size
    square = min(width, height)
    left, top = (width - square) // 2, (height - square) // 2
    # cropped first: scaled whole, a long strip would fill the memory
    centre = picture.crop((left, top, left + square, top + square))
    return centre.resize((side, side), Image.Resampling.BILINEAR)  # antialiases when it shrinks


def resize_images(images: Tensor, side: int) -> Tensor:
    """Images (N, C, H, W), uint8 or float32, resized by the rule to (N, C, side, side)."""
    import torch
    import torch.nn.functional as F

    count, channels, height, width = images.shape
    if (height, width) == (side, side):
        return images
    square = min(height, width)
    top, left = (height - square) // 2, (width - square) // 2
    result = torch.empty((count, channels, side, side), dtype=images.dtype)
    for start in range(0, count, 1024):  # in pieces: as floats the whole set might not fit
        piece = images[start : start + 1024, :, top : top + square, left : left + square].float()
        piece = F.interpolate(piece, (side, side), mode="bilinear", antialias=True, align_corners=False)
        whole = images.dtype == torch.uint8
        result[start : start + 1024] = piece.round().clamp(0, 255) if whole else piece.clamp(0, 1)
    return result
