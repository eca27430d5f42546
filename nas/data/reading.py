"""What a user says of how data is read, where a source leaves it open. Torch is not imported."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from nas.core.errors import UserError
from nas.core.picture_rule import WHITE, Colour

SMALLEST_SIDE, LARGEST_SIDE = 4, 1024
"""The least height and width of images, and the greatest that they are resized to."""

Channels = Literal["auto", "L", "RGB", "RGBA"]
Kind = Literal["auto", "image", "vector", "sequence"]
"""What the examples of an array can be said to be."""

COUNTS: dict[Channels, int] = {"L": 1, "RGB": 3, "RGBA": 4}
"""How many channels there are of each kind that can be asked for."""

ENDS = ("first", "last", "none")
"""What the label of rows of pixels can be: their first or their last column, or no column."""

ALLOWED = {
    "image_size": f"a side from {SMALLEST_SIDE} to {LARGEST_SIDE}, or HEIGHTxWIDTH such as 48x64",
    "channels": "auto, L, RGB, RGBA",
    "background": "white, black or #rrggbb",
    "image_shape": "HxW, CxHxW (a plane after the other) or HxWxC (a pixel after the other) with C from 1 to 4",
    "label": f"{', '.join(ENDS)} of rows of pixels; of tables the name of a column",
    "drop": "names of columns: A,B",
    "columns": "names of columns: A,B",
    "group": "the name of a column",
    "factors": "names of columns: A,B",
    "kind": "auto, image, vector, sequence",
    "window": "a whole number of samples from 1 on",
}
"""What fields of Reading can be, in words."""

_TABLES = "tables, such as table:PATH or parquet:PATH"
FITS = {
    "image_shape": "images in rows of numbers, such as csv:PATH or npy:PATH",
    "label": f"{_TABLES}, or rows of pixels in csv:PATH",
    "drop": _TABLES,
    "columns": _TABLES,
    "group": _TABLES,
    "factors": _TABLES,
    "kind": "arrays, such as npz:PATH or npy:PATH",
    "window": "recordings, such as wav:PATH",
}
"""What the fields of Reading are for that not every source takes, in words."""

_LACKS = {
    **dict.fromkeys(("label", "drop", "columns", "group", "factors"), "is no table"),
    "image_shape": "holds no images in rows",
    "kind": "is no array",
    "window": "holds no recordings",
}

GIVEN_AS_OBJECT = "the data are given as an object; nas.data.loading.load_data takes it for a file"

_COLOURS: dict[str, Colour] = {"white": WHITE, "black": (0, 0, 0)}


@dataclass(frozen=True)
class Reading:
    """How examples are read where their source leaves it open; a source says which it takes of those in FITS.

    Attributes:
        image_size: the side of images, or HEIGHTxWIDTH; None where they keep theirs.
        channels: what images shall have: grey, colour, colour with alpha, or what they have.
        background: what transparent parts are laid on.
        strict: whether a picture that cannot be read is refused.
        image_shape: what makes an image of a row of numbers; None for a square.
        label: of rows of pixels one of ENDS, or None to find out; of a table the column with the labels.
        drop: of a table, columns that are not used.
        columns: of a table, the only columns that are used, where any are named.
        group: of a table, the column by which rows belong together: all with one value come into one part.
        factors: of a table, the columns that say what a row was made of, which codes are compared with.
        kind: of arrays, what their examples are, where the shape leaves it open: (N, T) and (N, C, T) can be sequences.
        window: of recordings, how many samples make an example; None for the usual number.

    Raises:
        UserError: one is not ALLOWED.
    """

    image_size: int | str | tuple[int, int] | None = None
    channels: Channels = "auto"
    background: str = "white"
    strict: bool = False
    image_shape: str | None = None
    label: str | None = None
    drop: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    group: str | None = None
    factors: tuple[str, ...] = ()
    kind: Kind = "auto"
    window: int | None = None

    def __post_init__(self) -> None:
        for name, allowed in ALLOWED.items():
            if (value := getattr(self, name)) is not None:
                try:
                    object.__setattr__(self, name, normalise(name, value))
                except ValueError:
                    raise UserError(f"--{name.replace('_', '-')}", value, allowed) from None

    def refuse_others(self, taken: Collection[str], who: str = "", why: str = "") -> None:
        """Refuse what is said of FITS that `who`, the name of a data set, does not take, and say why.

        Raises:
            UserError: there is some; names the first.
        """
        for name, fits in FITS.items():
            if (value := getattr(self, name)) not in ((), None, "auto") and name not in taken:
                shown = ",".join(value) if isinstance(value, tuple) else value
                raise UserError(f"--{name.replace('_', '-')}", shown, fits, why=why or f"{who} {_LACKS[name]}")

    @property
    def size(self) -> tuple[int, int] | None:
        """The height and width of images."""
        if self.image_size is None:
            return None
        sides = _split_numbers(str(self.image_size))
        return sides[0], sides[-1]

    @property
    def colour(self) -> Colour:
        """The background as a colour."""
        if self.background in _COLOURS:
            return _COLOURS[self.background]
        red, green, blue = bytes.fromhex(self.background[1:])
        return red, green, blue

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        """The two or three numbers of `image_shape`."""
        return None if self.image_shape is None else _split_numbers(self.image_shape)


def normalise(name: str, value: Any) -> Any:
    """A field of Reading in one spelling: 32x32 and (32, 32) are 32.

    Raises:
        ValueError: it is not ALLOWED.
    """
    if name in ("drop", "columns", "factors"):
        return _split_names(name, value)
    if isinstance(value, bool) or (name in ("label", "group") and not (value and isinstance(value, str))):
        raise ValueError(ALLOWED[name])  # a bool is YAML's yes
    if name in ("label", "group"):
        return value
    text = "x".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value).strip()
    text = text.replace("X", "x") if name in ("image_size", "image_shape") else text
    if name == "window":
        if not re.fullmatch("[0-9]{1,9}", text) or not int(text):
            raise ValueError(ALLOWED[name])
        return int(text)
    if name == "image_size":
        sides = _split_numbers(text)
        if len(sides) == 1:
            sides *= 2
        if len(sides) != 2 or not all(SMALLEST_SIDE <= side <= LARGEST_SIDE for side in sides):
            raise ValueError(ALLOWED[name])
        return sides[0] if sides[0] == sides[1] else f"{sides[0]}x{sides[1]}"
    if name == "image_shape":
        shape = _split_numbers(text)
        if len(shape) not in (2, 3) or 0 in shape or (len(shape) == 3 and not {shape[0], shape[2]} & {1, 2, 3, 4}):
            raise ValueError(ALLOWED[name])
    elif name == "background":
        text = text.lower()
        if text not in _COLOURS and not re.fullmatch("#[0-9a-f]{6}", text):
            raise ValueError(ALLOWED[name])
    elif text not in ALLOWED[name].split(", "):
        raise ValueError(ALLOWED[name])
    return text


def _split_names(name: str, value: Any) -> tuple[str, ...]:
    """Names in a list, or with commas between; quotes stand around a name that has one."""
    if isinstance(value, str):
        try:
            value = next(csv.reader([value or '""'], skipinitialspace=True, strict=True))
        except csv.Error:
            raise ValueError(ALLOWED[name]) from None
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(ALLOWED[name])
    return tuple(value)


def _split_numbers(text: str) -> tuple[int, ...]:
    """The numbers of ``48x64``, and none of what is written otherwise."""
    return tuple(map(int, text.split("x"))) if re.fullmatch(r"[0-9]{1,6}(x[0-9]{1,6})*", text) else ()
