"""Images with other channels than they have: grey, colour, or colour with alpha."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nas.core.picture_rule import Colour
from nas.data.pieces import slice_rows

if TYPE_CHECKING:
    from torch import Tensor

_LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's


def convert_channels(images: Tensor, count: int, background: Colour, directory: Path | None = None) -> Tensor:
    """Images (N, C, H, W) with 1, 3 or 4 channels, uint8 or float32 in [0, 1], as (N, count, H, W) of the same type.

    Alpha becomes the background where it goes, and is whole where it comes.

    Args:
        directory: see nas.data.mapped.allocate.
    """
    import torch

    from nas.data.mapped import allocate

    has = images.shape[1]
    if has == count:
        return images
    result = allocate((len(images), count, *images.shape[2:]), images.dtype, directory)
    whole = images.dtype == torch.uint8
    largest = 255 if whole else 1
    ground = torch.tensor(background).view(3, 1, 1) * (largest / 255)
    for rows in slice_rows(images.shape):  # as floats the whole set might not fit
        piece = images[rows].float()
        colours = piece[:, :3].expand(-1, 3, -1, -1)
        if has == 4 and count < 4:
            alpha = piece[:, 3:] / largest
            colours = alpha * colours + (1 - alpha) * ground
        if count == 1:
            colours = (colours * torch.tensor(_LUMINANCE).view(3, 1, 1)).sum(1, keepdim=True)
        made = torch.cat([colours, torch.full_like(colours[:, :1], largest)], dim=1) if count == 4 else colours
        result[rows] = made.round() if whole else made
    return result
