"""Labels of any kind as the numbers of classes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def number_labels(parts: Sequence[np.ndarray]) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """The classes' names, in the order of their numbers if all of them are numbers, and each label's index in it.

    Args:
        parts: labels (N,) each, numbers or text; ``3`` and ``3.0`` are one label.
    """
    found, places = np.unique(np.concatenate(parts), return_inverse=True)
    keys = [str(label) for label in found.tolist()]
    numbers = all(map(is_number, keys))
    if numbers:
        keys = [_name_whole(key) for key in keys]
    names = sorted(set(keys), key=float if numbers else None)
    index = {name: number for number, name in enumerate(names)}
    indices = np.array([index[key] for key in keys], dtype=np.int64)[places]
    return tuple(names), np.split(indices, np.cumsum([len(part) for part in parts])[:-1])


def read_labels(array: np.ndarray, count: int) -> tuple[np.ndarray, str]:
    """Labels (N,), whole numbers or text, of an array of `count` labels or one-hot rows, and a word on how.

    Raises:
        ValueError: it is neither; says what it is.
    """
    said = f"is {array.dtype} of shape {array.shape}"
    if array.dtype.kind == "O" and all(isinstance(label, str) for label in array.flat):
        array = array.astype(str)
    if array.dtype.kind not in "iubfUS" or array.ndim == 0 or len(array) != count:
        raise ValueError(said)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.size == count:
        flat = array.reshape(-1)
        if flat.dtype.kind in "U":
            return flat, ""
        if flat.dtype.kind == "f" and not (np.isfinite(flat).all() and (flat == np.rint(flat)).all()):
            raise ValueError(f"{said} with fractions")
        return flat.astype(np.int64), ""
    numbers = array.ndim == 2 and array.dtype.kind != "U"
    if numbers and np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all():
        return array.argmax(axis=1), "read as one-hot rows"
    raise ValueError(said)


def is_number(text: str) -> bool:
    """Whether a text is a finite number, without the underscores that Python takes."""
    try:
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def _name_whole(number: str) -> str:
    """A number's shortest name, if it is whole."""
    try:
        return str(int(number))
    except ValueError:
        return str(int(float(number))) if float(number).is_integer() else number
