"""Which dimension of an array of images holds their channels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nas.core.errors import UserError
from nas.data.reading import SMALLEST_SIDE, Reading

_CHANNELS = (1, 2, 3, 4)


def find_layout(shape: Sequence[int]) -> tuple[bool, str] | None:
    """Whether images of a shape (H, W, C) or (C, H, W) have their channels first, and a word on it; None of neither.

    The other two must be sides of images, so only squares of 4 are both. These are read as (H, W, C).
    """
    first, middle, last = shape
    middle_fits = middle >= SMALLEST_SIDE
    channels_last = last in _CHANNELS and first >= SMALLEST_SIDE and middle_fits
    channels_first = first in _CHANNELS and last >= SMALLEST_SIDE and middle_fits
    if channels_last and channels_first:
        return False, "may be (N, H, W, C) or (N, C, H, W): read as the first"
    if channels_first:
        return True, "read as (N, C, H, W)"
    return (False, "") if last in _CHANNELS else (True, "") if first in _CHANNELS else None


def move_channels_first(images: np.ndarray, channels_first: bool) -> np.ndarray:
    """Images (N, H, W), (N, H, W, C) or (N, C, H, W) as (N, C, H, W)."""
    if images.ndim == 3:
        return images[:, None]
    return images if channels_first else images.transpose(0, 3, 1, 2)


def shape_rows(rows: np.ndarray, reading: Reading) -> np.ndarray:
    """Rows of numbers (N, D) as the images that --image-shape says: (N, H, W), (N, H, W, C) or (N, C, H, W).

    Raises:
        UserError: they do not fit.
    """
    shape = reading.row_shape
    assert shape is not None
    if rows.ndim != 2 or rows.shape[1] != math.prod(shape):
        why = f"a row has {rows.shape[1]} numbers" if rows.ndim == 2 else "the examples are no rows of numbers"
        allowed = "HxW, CxHxW or HxWxC, whose product is the numbers of a row"
        raise UserError("--image-shape", reading.image_shape, allowed, why=why)
    return rows.reshape(len(rows), *shape)
