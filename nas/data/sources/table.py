"""Tables in CSV: rows of numbers and words below a line of names."""

from __future__ import annotations

import csv
import re
import zlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import dropwhile, islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from nas.core.errors import UserError
from nas.data.cells import is_number, is_text, parse_decimal_commas, parse_numbers
from nas.data.source import Request, Source, UnsplitData
from nas.data.text_rows import SEPARATORS, open_text

if TYPE_CHECKING:
    from nas.data.tables import RawColumn

_ALLOWED = "a first line of names and rows of as many cells, separated by commas, semicolons or tabs"
_ROWS_AT_ONCE = 10_000
_PIXEL = re.compile(r"(pixel|pix|px)[_ ]?\d+([x_ ]\d+)*|\d+[x_]\d+([x_]\d+)?", re.IGNORECASE)


def load_table(request: Request) -> UnsplitData:
    """The rows of a file as vectors; see nas.data.tables.make_vectors for what is taken how.

    Raises:
        UserError: the file cannot be read or has no rows; a row, whose line is named, has more or fewer cells than
            names; or its columns cannot be used.
    """
    from nas.data.tables import RawTable, choose_columns, make_vectors

    path = request.find_path()
    try:
        reader = _TableReader(request.name, path)
        if not all(is_text(name) for name in reader.names):
            raise UserError("--dataset", request.name, "text in UTF-8", why="its first line is none")
        columns, lines = reader.read_columns(choose_columns(request.name, reader.names, request.reading))
    except (OSError, EOFError, zlib.error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError("--dataset", request.name, "a CSV file that can be read", why=why) from None
    return make_vectors(RawTable(request.name, columns, lines, reader.notes), request.reading)


def looks_like_table(path: Path) -> bool:
    """Whether a CSV file begins with a line of names, of which most are not those of pixels.

    A line with a number is no line of names, as it may be the first row of a file without one. A file that cannot be
    read is no table.
    """
    try:
        lines = _read_head(path)
    except (OSError, EOFError, zlib.error):
        return False
    names = [name.strip() for name in _parse_head(lines, _find_separator(lines))[0]] if lines else []
    pixels = sum(_PIXEL.fullmatch(name) is not None for name in names)
    return any(names) and not any(is_number(name) for name in names) and 2 * pixels <= len(names)


SOURCE = Source(
    "table",
    "a table in CSV: a first line of names, then rows of numbers and words",
    load_table,
    argument="PATH",
    takes=("label", "drop", "columns", "group", "factors"),
    details="Cells are separated by commas, semicolons or tabs; also compressed (.csv.gz). A column whose cells are "
    "all numbers, with decimal points or (not between commas) decimal commas, is standardised by the training part; of "
    "others each word becomes a number, 1 where a row has it and else 0. Empty cells, NA, NaN, null and ? are missing "
    "values. Left out, with a note, are columns that are the same in all rows, number the rows, hold dates, have a "
    "word of its own for nearly every row, or more than 100 words. --label COLUMN says which has the labels, --drop "
    "A,B which are not used, --columns A,B which alone are, and --group COLUMN which keeps rows together in one part.",
)


class _TableReader:
    """A CSV file: its names, and then its columns, as many times as their types ask for.

    Attributes:
        names: of the columns, without the one after a trailing comma.
        notes: what is odd about them, a sentence each.
    """

    def __init__(self, name: str, path: Path) -> None:
        self._name, self._path = name, path
        lines = _read_head(path)
        if not lines:
            raise UserError("--dataset", name, _ALLOWED, why="holds no row")
        self._separator = _find_separator(lines)
        head = _parse_head(lines, self._separator)
        names = [one.strip() for one in head[0]]
        if len(names) > 1 and not names[-1]:
            names.pop()
        self.names = names
        for place, one in enumerate(names):
            if place and not one:
                raise UserError("--dataset", name, "a name for every column", why=f"column {place + 1} has none")
        numbers = [one for one in names if is_number(one)]
        self.notes = (f"the first line was taken as names, though {numbers[0]!r} is a number",) if numbers else ()

    def read_columns(self, wanted: set[str]) -> tuple[list[RawColumn], Sequence[int]]:
        """The columns that are wanted, in their order, and the line of each row in the file."""
        parsers = [parse_numbers] if self._separator == "," else [parse_numbers, parse_decimal_commas]
        columns = {place: _ColumnReader(one, parsers) for place, one in enumerate(self.names) if one in wanted}
        unread = columns
        lines = array("q")
        while unread:
            lines = array("q")
            for column in unread.values():
                column.begin()
            for rows in self._read_rows(lines):
                cells = list(zip(*rows, strict=True))
                for place, column in unread.items():
                    column.take(cells[place])
            unread = {place: column for place, column in unread.items() if column.again}
        if not lines:
            raise UserError("--dataset", self._name, _ALLOWED, why="holds no row below its names")
        return [column.finish() for column in columns.values()], lines

    def _read_rows(self, lines: array[int]) -> Iterator[list[list[str]]]:
        """Rows below the first, all of one length, many at once; their lines are appended to `lines`.

        Raises:
            UserError: a row has another length, or its quotes do not close.
        """
        width = len(self.names)
        with _open_table(self._path) as file:
            reader = csv.reader(file, delimiter=self._separator, skipinitialspace=True, strict=True)
            rows: list[list[str]] = []
            names_passed = False
            try:
                for found in reader:
                    row = found if len(found) == width else self._fit_row(found, reader.line_num)
                    if row is None:
                        continue
                    if not names_passed:
                        names_passed = True
                        continue
                    rows.append(row)
                    lines.append(reader.line_num)
                    if len(rows) == _ROWS_AT_ONCE:
                        yield rows
                        rows = []
            except csv.Error as error:
                raise self._make_fault(reader.line_num, f"cannot be read ({error})") from None
            if rows:
                yield rows

    def _fit_row(self, row: list[str], line: int) -> list[str] | None:
        """A row without what follows a trailing comma, or None for one that is empty."""
        if not any(cell.strip() for cell in row):
            return None
        if len(row) == len(self.names) + 1 and not row[-1].strip():
            return row[:-1]
        raise self._make_fault(line, f"has {len(row)} cells where the first line has {len(self.names)} names")

    def _make_fault(self, line: int, why: str) -> UserError:
        return UserError("--dataset", self._name, _ALLOWED, why=f"row {line} {why}")


class _ColumnReader:
    """A column, taken as numbers until a cell is none: then it has to be read again, as words.

    Attributes:
        again: whether it has to be read from the beginning.
    """

    def __init__(self, name: str, parsers: Sequence[Callable[[Sequence[str]], np.ndarray]]) -> None:
        self._name = name
        self._parsers = [*parsers]  # of which the first is used; without any the column is of words
        self.begin()

    def begin(self) -> None:
        """Forget the cells, but not what they are."""
        self.again = False
        self._parts: list[np.ndarray] = []
        self._words: defaultdict[str, int] = defaultdict()
        self._words.default_factory = self._words.__len__

    def take(self, cells: tuple[str, ...]) -> None:
        """Take the next cells."""
        while self._parsers and not self.again:
            try:
                self._parts.append(self._parsers[0](cells))
                return
            except ValueError:
                del self._parsers[0]
                self.again = bool(self._parts)
        if self.again:
            return
        self._parts.append(np.fromiter(map(self._words.__getitem__, cells), np.int64, len(cells)))

    def finish(self) -> RawColumn:
        """The whole column."""
        from nas.data.tables import Numbers, make_words

        whole = np.concatenate(self._parts)
        return Numbers(self._name, whole) if self._parsers else make_words(self._name, whole, tuple(self._words))


def _open_table(path: Path) -> IO[str]:
    """The file as text, in which bytes that are no UTF-8 become surrogates."""
    return open_text(path, errors="surrogateescape", newline="")


def _read_head(path: Path) -> list[str]:
    """The first lines, from the first that is not empty."""
    with _open_table(path) as file:
        return list(islice(dropwhile(lambda line: not line.strip(), file), 20))


def _find_separator(lines: Sequence[str]) -> str:
    """What makes most columns of as many cells as there are names, up to one that follows a trailing separator."""

    def rate(separator: str) -> tuple[bool, int]:
        names, *rows = _parse_head(lines, separator)
        width = len(names)
        return width > 1 and all(len(row) in (0, width, width + 1) for row in rows), width

    return max(SEPARATORS, key=rate)


def _parse_head(lines: Sequence[str], separator: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    except csv.Error:  # a quote that does not close before a cell is too long
        return [[]]
