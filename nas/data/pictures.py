"""Picture files as pixels: orientation, depth and transparency."""

from __future__ import annotations

import contextlib
import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageOps

from nas.core.picture_rule import Colour, PictureRule
from nas.data.resizing import crop_and_resize

Mode = Literal["L", "RGB", "RGBA"]
PictureFile = Path | bytes
"""A picture's file: where it lies, or what it holds."""

_DEEP = {"I", "I;16", "I;16B", "I;16L", "I;16N"}
_GREY = {"1", "L", "LA", "F", *_DEEP}
_LYING = {5, 6, 7, 8}  # orientations of EXIF that exchange height and width
# what Pillow raises at pictures and at EXIF that cannot be read
_FAULTS = (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class Header:
    """What is known of a picture before it is decoded.

    Attributes:
        size: height and width as it is shown, so after the turn that EXIF asks for.
        grey: whether it has no colours.
        deep: whether its values have 16 bits or more.
        alpha: whether parts of it may be transparent.
    """

    size: tuple[int, int]
    grey: bool
    deep: bool
    alpha: bool


def read_header(file: PictureFile, sizes_matter_to: int) -> Header | None:
    """The header of a picture, or None if it cannot be read, or is so large that Pillow warns, where that is an error.

    Args:
        sizes_matter_to: pictures with a longer side are not asked for their orientation, for which they are decoded.
    """
    try:
        with _open_picture(file) as picture:
            width, height = picture.size
            alpha = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
            grey, deep = picture.mode in _GREY, picture.mode in _DEEP
            if width != height and max(width, height) <= sizes_matter_to:
                picture.load()  # turns a TIFF, and finds EXIF at the end of a PNG
                width, height = picture.size
                if picture.getexif().get(ExifTags.Base.Orientation) in _LYING:
                    width, height = height, width
            return Header((height, width), grey, deep, alpha)
    except (*_FAULTS, Image.DecompressionBombWarning):
        return None  # counted by the caller


@contextlib.contextmanager
def _open_picture(file: PictureFile) -> Iterator[Image.Image]:
    """Open a picture by its file rather than its name: Pillow 13 garbles a lying TIFF that it maps into memory."""
    with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as content, Image.open(content) as picture:
        yield picture


def find_largest(file: PictureFile) -> int:
    """The largest value of a deep picture, or 0 if it cannot be read."""
    try:
        with _open_picture(file) as picture:
            return int(np.asarray(picture).max())
    except _FAULTS:
        return 0  # counted by whoever reads its pixels


def read_pixels(
    file: PictureFile, mode: Mode, rule: PictureRule, size: tuple[int, int] | None
) -> tuple[np.ndarray, bool] | None:
    """A picture's pixels (C, H, W), uint8, and whether parts of it are transparent; None if it is corrupt.

    Args:
        size: the height and width that it is resized to; None for its own.
    """
    try:
        with _open_picture(file) as picture:
            picture.load()  # turns a TIFF, which is then not to be turned again
            converted, transparent = _convert_mode(ImageOps.exif_transpose(picture), mode, rule)
    except _FAULTS:
        return None
    if size is not None:
        converted = crop_and_resize(converted, size)
    if mode == "RGBA":
        converted = _fill_invisible(converted, rule.background)
    pixels = np.array(converted)
    return (pixels[None] if mode == "L" else np.ascontiguousarray(pixels.transpose(2, 0, 1))), transparent


def _convert_mode(picture: Image.Image, mode: Mode, rule: PictureRule) -> tuple[Image.Image, bool]:
    """The picture in 8 bits and in this mode, whatever its depth, and whether parts of it are transparent."""
    transparent = False
    if picture.mode in _DEEP:
        values = np.asarray(picture).astype(np.int64) >> (rule.bits - 8)
        picture = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    elif picture.mode == "F":
        values = np.asarray(picture)
        if not (values.min() >= 0 and values.max() <= 1):  # also refuses NaN
            raise ValueError("floats outside of [0, 1]")
        picture = Image.fromarray(np.rint(values * 255).astype(np.uint8))
    elif picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        lowest = picture.getchannel("A").getextrema()[0]
        transparent = isinstance(lowest, (int, float)) and lowest < 255
        if mode != "RGBA":
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, (*rule.background, 255)), picture)
    return picture.convert(mode), transparent


def _fill_invisible(picture: Image.Image, background: Colour) -> Image.Image:
    """The picture with the background's colour where nothing is seen: what lies there is chance."""
    seen = picture.getchannel("A").point(lambda alpha: 255 if alpha else 0)
    return Image.composite(picture, Image.new("RGBA", picture.size, (*background, 0)), seen)
