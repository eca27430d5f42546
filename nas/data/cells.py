"""What the cells of a table say, as texts. Torch is not imported, so that data sets are listed quickly."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

MISSING = frozenset({"", "na", "n/a", "nan", "null", "?"})
"""What says that a value is missing, in small letters."""

_DECIMAL_COMMA = re.compile(r"[-+]?(\d{1,3}(\.\d{3})+|\d+)?(,\d+)?([eE][-+]?\d+)?")
_DATE = re.compile(r"\d{4}[-/]\d\d?[-/]\d\d?([T ].*)?|\d\d?([-/.])\d\d?\2\d{2,4}( .*)?|\d\d?:\d\d(:\d\d.*)?")


def is_missing(cell: str) -> bool:
    """Whether a cell says that its value is missing."""
    return cell.strip().casefold() in MISSING


def is_date(cell: str) -> bool:
    """Whether a cell is a date or a time: ``2024-01-31``, ``31.1.2024``, ``12:30``."""
    return _DATE.fullmatch(cell) is not None


def is_text(cell: str) -> bool:
    """Whether a cell, read with surrogates for what is no UTF-8, has none, and no null byte either."""
    return not any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in cell)


def is_number(cell: str) -> bool:
    """Whether a cell is a number, or nan; Python's 1_000 is none."""
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def parse_numbers(cells: Iterable[str]) -> np.ndarray:
    """The numbers of cells (N,), float64, NaN where one is missing.

    Raises:
        ValueError: a cell is neither a number nor missing.
    """
    cells = list(cells)
    if "_" in "".join(cells):
        raise ValueError("an underscore is in no number")
    try:
        return np.fromiter(map(float, cells), np.float64, len(cells))
    except ValueError:
        return np.fromiter(map(_parse_number, cells), np.float64, len(cells))


def parse_decimal_commas(cells: Iterable[str]) -> np.ndarray:
    """As `parse_numbers`, of numbers with decimal commas: ``1.234,5`` and ``1234,5``."""
    plain = []
    for cell in cells:
        if not is_missing(cell) and not _DECIMAL_COMMA.fullmatch(cell.strip()):
            raise ValueError(f"{cell!r} is no number with a decimal comma")
        plain.append(cell if is_missing(cell) else cell.replace(".", "").replace(",", "."))
    return parse_numbers(plain)


def _parse_number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        if is_missing(cell):
            return np.nan
        raise
