"""Which range the values of images have: one rule for a whole set, however its numbers are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nas.data.pieces import slice_rows

RANGES = "uint8, or numbers in [0, 1], [-1, 1], [0, 255] or of up to 16 bits"
_SLACK = 1e-3  # beyond 0, 1 and -1: what resizing and rounding leave
_UNCLEAR = 2.0  # fractions up to here above 1 are no shades of 255
_DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras and scanners use


@dataclass(frozen=True)
class ValueRule:
    """How values become uint8, or float32 in [0, 1].

    Attributes:
        note: what it does, in words, after a name; empty where it does nothing.
        apply: does it, value by value; the result is new, or the array itself.
        keeps: whether it changes neither values nor their type.
    """

    note: str
    apply: Callable[[np.ndarray], np.ndarray]
    keeps: bool = False


def count_bits(largest: int) -> int:
    """The smallest usual number of bits that holds a value."""
    return next((bits for bits in _DEPTHS if largest < 2**bits), int(largest).bit_length())


def find_value_rule(arrays: Sequence[np.ndarray]) -> ValueRule:
    """The rule for arrays of one set: booleans, whole numbers or fractions.

    A set whose largest value is 1 has two values, black and white. Whole numbers above 255 keep the upper 8 of the
    bits that the largest one uses.

    Raises:
        ValueError: says what they hold instead.
    """
    arrays = [array for array in arrays if array.size]
    if any(array.dtype.kind not in "biuf" for array in arrays):
        raise ValueError(f"is {next(array.dtype for array in arrays if array.dtype.kind not in 'biuf')}")
    low, high = (float(extreme([extreme(array) for array in arrays])) for extreme in (np.min, np.max))
    said = f"holds values from {low:g} to {high:g}"
    floats = any(array.dtype.kind == "f" for array in arrays)
    if not np.isfinite([low, high]).all():
        raise ValueError(said)
    if low >= (-_SLACK if floats else 0) and high <= (1 + _SLACK if floats else 1):
        if floats:
            keeps = low >= 0 and high <= 1 and all(array.dtype == np.float32 for array in arrays)
            return ValueRule("", lambda array: _clip(array.astype(np.float32)), keeps)
        note = "holds only 0 and 1: read as black and white" if high == 1 else ""
        return ValueRule(note, lambda array: array.astype(np.uint8) * np.uint8(255))
    if -1 - _SLACK <= low < 0 and high <= 1 + _SLACK:
        return ValueRule("holds values in [-1, 1]: rescaled to [0, 1]", _halve)
    if low < 0:
        raise ValueError(said)
    if floats and not _UNCLEAR <= high <= 255 and any(map(_has_fractions, arrays)):
        raise ValueError(said)
    if high <= 255:
        kept = all(array.dtype == np.uint8 for array in arrays)
        note = "" if kept else f"holds values from {low:g} to {high:g}: read as shades from 0 to 255"
        return ValueRule(
            note,
            lambda array: (np.rint(array) if array.dtype.kind == "f" else array).astype(np.uint8, copy=False),
            kept,
        )
    bits = count_bits(int(high))
    if bits > 16:
        raise ValueError(said)
    note = f"holds values up to {high:g}: read as {bits} bits, of which the upper 8 are kept"
    return ValueRule(note, lambda array: (array.astype(np.uint16) >> (bits - 8)).astype(np.uint8))


def _has_fractions(array: np.ndarray) -> bool:
    return any(bool((array[rows] != np.rint(array[rows])).any()) for rows in slice_rows(array.shape))


def _halve(array: np.ndarray) -> np.ndarray:
    return _clip((array.astype(np.float32) + 1) / 2)


def _clip(array: np.ndarray) -> np.ndarray:
    np.clip(array, 0, 1, out=array)
    return array
