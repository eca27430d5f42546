"""Images in CSV: a row an image, its pixels and its label; or a table, which is told by its first line."""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nas.core.errors import UserError
from nas.data.labels import is_number, number_labels
from nas.data.layout import find_layout, move_channels_first, shape_rows
from nas.data.reading import ENDS, Reading
from nas.data.source import Request, Source, UnsplitData
from nas.data.sources import table
from nas.data.text_rows import TextRows, find_rows
from nas.data.values import find_value_rule

_ALLOWED = (
    "rows of a label and then n*n pixels (grey) or 3*n*n (colour), all in [0, 255], [0, 1] or [-1, 1]; "
    "table:PATH reads tables"
)
_NAMES = {"label", "labels", "class", "target", "y"}
"""What a header calls the column of labels."""


@dataclass(frozen=True)
class _Columns:
    """Which columns are what.

    Attributes:
        header: the number of the line of names; 0 where there is none.
        indexed: whether the first column numbers the rows.
        label: which of the other columns is the label: ``first``, ``last`` or ``none``.
    """

    header: int
    indexed: bool
    label: str
    notes: tuple[str, ...]


def load_csv(request: Request) -> UnsplitData:
    """The images of a file, whose first line of names is passed over, or the vectors of a table.

    Raises:
        UserError: the file cannot be read or has no rows; a row, whose line is named, has no label, another length, or
            something that is no number or out of range; the number of pixels makes no square; or it is not clear
            which column is the label. Or as nas.data.sources.table.load_table.
    """
    from nas.data.dataset import Split

    name = request.name
    path = request.find_path()
    if _is_table(path, request.reading):
        data = table.load_table(request)
        note = (
            "read as a table; if each row is a picture instead, say --image-shape HxW, or --label first, last or none"
        )
        return replace(data, notes=(*data.notes, note))
    if request.reading.label not in (None, *ENDS):
        why = f"{name} is read as rows of pixels; table:PATH reads a table"
        raise UserError("--label", request.reading.label, ", ".join(ENDS), why=why)
    try:
        rows = find_rows(path)
        columns = _find_columns(name, rows, request.reading)
        labels, pixels = _parse_rows(name, rows, columns)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError("--dataset", name, "a CSV file that can be read", why=why) from None
    images = _shape_images(name, pixels, request.reading)
    try:
        rule = find_value_rule([images])
    except ValueError as error:
        raise UserError("--dataset", name, _ALLOWED, why=str(error)) from None
    examples = np.ascontiguousarray(rule.apply(images))
    notes = (*columns.notes, *([f"the file {rule.note}"] if rule.note else []))
    if columns.label == "none":
        return UnsplitData(Split.from_arrays(examples), notes=notes)
    classes, (numbers,) = number_labels([np.array(labels)])
    return UnsplitData(Split.from_arrays(examples, numbers), classes=classes, notes=notes)


SOURCE = Source(
    "csv",
    "a row an image, its label and its pixels, as MNIST is spread in CSV",
    load_csv,
    argument="PATH",
    details="Cells are separated by commas, semicolons or tabulators; the file may be compressed (csv.gz). A first "
    "line of names is passed over, and so is a column that numbers the rows. The label, a whole number or a word, is "
    "the first column, or the last where only that can be one; --label first, last or none says it. The pixels are "
    "all in [0, 255], in [0, 1] or in [-1, 1]; n*n of them (grey), or 3*n*n (colour; row by row, each pixel's red, "
    "green and blue together), or as many as --image-shape says: HxW, HxWxC, or CxHxW for a plane after the other. "
    "A file whose first line has names, most of them not of pixels, is read as table:PATH reads it, unless one of "
    "these two options is given so.",
    takes=("image_shape", *table.SOURCE.takes),
)


def _is_table(path: Path, reading: Reading) -> bool:
    """Whether the user says that a file is a table, or it looks like one and the user does not say that it is none.

    Raises:
        UserError: the user says both.
    """
    if reading.drop or reading.columns or reading.group or reading.factors:
        why = "with --drop, --columns, --group or --factors rows are those of a table"
        reading.refuse_others(table.SOURCE.takes, why=why)
        return True
    return reading.image_shape is None and reading.label not in ENDS and table.looks_like_table(path)


def _find_columns(name: str, rows: TextRows, reading: Reading) -> _Columns:
    """Look at both ends of all rows: for names, for a column that numbers the rows, and for labels."""
    names: list[str] = []
    header, width = 0, 0
    firsts: list[str] = []
    seconds: list[str] = []
    lasts: list[str] = []
    for number, text in rows:
        if not width:
            cells = rows.split(text)
            width = len(cells)
            if width > 1 and not any(is_number(cell) for cell in cells[1:]):
                header, names = number, [cell.strip().lower() for cell in cells]
                continue
        for column, cell in zip((firsts, seconds, lasts), _read_ends(rows, text), strict=True):
            column.append(cell.strip())
    if not firsts:
        raise UserError("--dataset", name, _ALLOWED, why="holds no row")
    indexed = width > 2 and ((not names[0] or names[0].startswith("unnamed")) if names else _counts(firsts))
    if indexed:
        firsts, names, width = seconds, names[1:], width - 1
    label = reading.label
    if label is None and not _fits(width - 1, reading) and _fits(width, reading):
        label = "none"
    elif label is None:
        label = _find_label(name, names, firsts, lasts)
    notes = ["the first column numbers the rows and was passed over"] if indexed else []
    if reading.label is None and label != "first":
        notes.append("the last column was read as the label" if label == "last" else "no column is a label")
    return _Columns(header, indexed, label, tuple(notes))


def _read_ends(rows: TextRows, text: str) -> tuple[str, str, str]:
    """The first, the second and the last cell of a row."""
    if '"' in text:
        cells = rows.split(text) or [""]
        return cells[0], "".join(cells[1:2]), cells[-1]
    first, _, rest = text.partition(rows.separator)
    return first, rest.partition(rows.separator)[0], text.rpartition(rows.separator)[2]


def _counts(cells: list[str]) -> bool:
    """Whether cells count the rows, from 0 or 1."""
    return any(all(cell == str(number) for number, cell in enumerate(cells, first)) for first in (0, 1))


def _find_label(name: str, names: list[str], firsts: list[str], lasts: list[str]) -> str:
    """Which column is the label, ``first`` or ``last``, by its name, its words, or its numbers.

    Raises:
        UserError: both may be, or neither.
    """
    ends = {"first": firsts, "last": lasts}
    for end, place in (("first", 0), ("last", -1)):
        if names and names[place] in _NAMES:
            return end
    for end, cells in ends.items():
        if 2 * sum(not is_number(cell) for cell in cells) > len(cells):
            return end
    first, last = (_count_classes(cells) for cells in ends.values())
    few = {end: Counter(cells) for end, cells in ends.items()}
    hidden = len(few["first"]) == 1 and len(few["last"]) > 1 and min(few["last"].values()) > 1
    if last and not first:
        return "last"
    if (first and last) or 2 * len(few["first"]) > len(firsts) or hidden:
        why = f"in {name} it is not clear which column is the label"
        raise UserError("--label", None, ", ".join(ENDS), why=why)
    return "first"


def _count_classes(cells: list[str]) -> int:
    """How many classes numbers tell apart that are labels: whole, from 0 or 1 on, two or more of most."""
    if not all(map(is_number, found := set(cells))):
        return 0
    values = sorted({float(cell) for cell in found})
    consecutive = values[0] in (0, 1) and values == [values[0] + step for step in range(len(values))]
    return len(values) if consecutive and 2 <= len(values) <= len(cells) / 2 else 0


def _take_label(rows: TextRows, text: str, columns: _Columns) -> tuple[str, str]:
    """A row's label, and its pixels with separators between."""
    if '"' in text:
        cells = rows.split(text)[columns.indexed :]
        place = {"first": 0, "last": -1}.get(columns.label)
        label = cells.pop(place) if place is not None and cells else ""
        return label.strip(), rows.separator.join(cells)
    if columns.indexed:
        text = text.partition(rows.separator)[2]
    if columns.label == "none":
        return "", text
    if columns.label == "first":
        label, _, pixels = text.partition(rows.separator)
    else:
        pixels, _, label = text.rpartition(rows.separator)
    return label.strip(), pixels


def _read_rows(rows: TextRows, columns: _Columns) -> Iterator[tuple[int, str, str]]:
    """The number of each row's line, its label and its pixels."""
    return ((number, *_take_label(rows, text, columns)) for number, text in rows if number != columns.header)


def _parse_rows(name: str, rows: TextRows, columns: _Columns) -> tuple[list[str], np.ndarray]:
    """Labels, and pixels (N, P) as uint8, or float32 where they are no whole numbers from 0; fast, and slow only to
    find a fault."""
    if not next(_read_rows(rows, columns))[2]:
        raise _find_fault(name, rows, columns)
    read: list[tuple[int, str]] = []

    def pixels_of_read_rows() -> Iterator[str]:
        for number, label, pixels in _read_rows(rows, columns):
            read.append((number, label))
            yield pixels

    try:
        pixels = np.loadtxt(pixels_of_read_rows(), delimiter=rows.separator, dtype=np.float32, ndmin=2, comments=None)
    except UnicodeDecodeError:
        raise
    except ValueError:
        raise _find_fault(name, rows, columns) from None
    labelled = columns.label == "none" or all(label for _, label in read)
    # NumPy passes over rows without pixels
    if len(pixels) != len(read) or not np.isfinite(pixels).all() or not labelled:
        raise _find_fault(name, rows, columns)
    low, high = float(pixels.min()), float(pixels.max())
    if low < (-1 if high <= 1 else 0) or high > 255:
        row = int(np.argmax((pixels.min(1) < 0) | (pixels.max(1) > 255)))
        found = pixels[row].min() if pixels[row].min() < 0 else pixels[row].max()
        raise _make_fault(name, read[row][0], f"holds {found:g}")
    whole = low >= 0 and bool((pixels == np.rint(pixels)).all())
    return [label for _, label in read], pixels.astype(np.uint8) if whole else pixels


def _find_fault(name: str, rows: TextRows, columns: _Columns) -> UserError:
    width = None
    before, labels = columns.indexed + (columns.label == "first"), int(columns.label != "none")
    for number, label, pixels in _read_rows(rows, columns):
        cells = pixels.split(rows.separator) if pixels else []
        width = width or len(cells)
        if labels and not label:
            return _make_fault(name, number, "has no label")
        if not width:
            return _make_fault(name, number, "has no pixels")
        if len(cells) != width:
            others = columns.indexed + labels
            why = f"has {len(cells) + others} columns where the first row has {width + others}"
            return _make_fault(name, number, why)
        if "_" not in pixels and _all_in_range(cells):
            continue
        for column, cell in enumerate(cells, 1 + before):
            if not is_number(cell):
                return _make_fault(name, number, f"holds {cell[:40]!r} in column {column}, which is not a number")
            if abs(float(cell)) > 255:
                return _make_fault(name, number, f"holds {float(cell):g}")
    return UserError("--dataset", name, _ALLOWED, why="cannot be read as numbers")


def _all_in_range(cells: list[str]) -> bool:
    try:
        return bool((np.abs(np.array(cells, dtype=np.float64)) <= 255).all())
    except ValueError:
        return False


def _make_fault(name: str, line: int, why: str) -> UserError:
    return UserError("--dataset", name, _ALLOWED, why=f"row {line} {why}")


def _fits(numbers: int, reading: Reading) -> bool:
    shape = reading.row_shape
    return numbers == math.prod(shape) if shape is not None else _find_square(numbers) is not None


def _find_square(numbers: int) -> tuple[int, int, int] | None:
    """The height, width and channels of a square of so many numbers."""
    for channels in (1, 3):
        side = math.isqrt(max(0, numbers) // channels)
        if channels * side * side == numbers > 0:
            return side, side, channels
    return None


def _shape_images(name: str, pixels: np.ndarray, reading: Reading) -> np.ndarray:
    """Images (N, C, H, W) of rows of pixels."""
    if reading.row_shape is not None:
        shaped = shape_rows(pixels, reading)
        layout = find_layout(shaped.shape[1:]) if shaped.ndim == 4 else (False, "")
        assert layout is not None, "a shape of three numbers has channels"
        return move_channels_first(shaped, layout[0])
    square = _find_square(pixels.shape[1])
    if square is None:
        allowed = f"{_ALLOWED}, or --image-shape"
        raise UserError("--dataset", name, allowed, why=f"its rows have {pixels.shape[1]} pixels, which make no square")
    return move_channels_first(pixels.reshape(len(pixels), *square), False)
