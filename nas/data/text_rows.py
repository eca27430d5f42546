"""Rows of cells in a text file, compressed or not, whatever separates the cells."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

SEPARATORS = (",", ";", "\t")
_SAMPLE = 100  # rows that say how the others are written
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class TextRows:
    """A file of rows, and how they are written.

    Attributes:
        separator: what stands between cells: a comma, a semicolon or a tabulator.
        ends: whether one stands at the end of every row as well, where no cell follows.
    """

    path: Path
    separator: str
    ends: bool

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """The number, from 1, and the text of each line that is not empty, without a separator at its end."""
        with open_text(self.path) as file:
            for number, line in enumerate(file, 1):
                text = line.strip(" \r\n")
                if text:
                    yield number, text.removesuffix(self.separator) if self.ends else text

    def split(self, text: str) -> list[str]:
        """The cells of a row's text; an empty list where a quote is never closed."""
        if '"' not in text:
            return text.split(self.separator)
        try:
            return next(csv.reader([text], delimiter=self.separator))
        except csv.Error:  # a quote that is never closed before the field is too long
            return []


def open_text(path: Path, *, errors: str = "strict", newline: str | None = None) -> IO[str]:
    """Open a text file in UTF-8; one that is compressed by gzip is unpacked, whatever its name.

    Args:
        errors, newline: as those of `open`.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    if packed:
        return gzip.open(path, "rt", encoding="utf-8-sig", errors=errors, newline=newline)
    return path.open(encoding="utf-8-sig", errors=errors, newline=newline)


def find_rows(path: Path) -> TextRows:
    """A file's rows, written as its first ones are.

    Raises:
        OSError, UnicodeDecodeError, EOFError, zlib.error: it cannot be read.
    """
    sample = [text for _, text in islice(TextRows(path, ",", ends=False), _SAMPLE)]
    counts = {separator: sum(text.count(separator) for text in sample) for separator in SEPARATORS}
    separator = max(SEPARATORS, key=lambda one: counts[one])
    return TextRows(path, separator, ends=bool(sample) and all(text.endswith(separator) for text in sample))
