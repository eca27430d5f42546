"""Images in CSV: a row an image, its label first."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.core.errors import UserError
from nas.data.source import Request, Source, UnsplitData

_ALLOWED = "rows of a label and then n*n pixels (grey) or 3*n*n (colour), all in [0, 255] or all in [0, 1]"


@dataclass(frozen=True)
class _Row:
    number: int  # of its line in the file, from 1
    label: str
    pixels: str  # with commas between


def load_csv(request: Request) -> UnsplitData:
    """The images of a file; a first line of names is passed over.

    Raises:
        UserError: the file cannot be read or has no rows; a row, whose line is named, has no label, another length, or
            something that is no number or out of range; or the number of pixels makes no square.
    """
    from nas.data.dataset import Split

    name = request.name
    try:
        labels, pixels = _parse_rows(name, request.find_path())
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError("--dataset", name, "a CSV file that can be read", why=why) from None
    channels, side = _find_square(name, pixels.shape[1])
    images = pixels.reshape(len(pixels), side, side, channels).transpose(0, 3, 1, 2).copy()
    classes, numbers = _number_labels(labels)
    return UnsplitData(Split.from_arrays(images, numbers), classes=classes)


SOURCE = Source(
    "csv",
    "a row an image, label first and then its pixels, as MNIST is spread in CSV",
    load_csv,
    argument="PATH",
    details="A first line of names is passed over. Labels are whole numbers or words. The pixels are all in "
    "[0, 255] or all in [0, 1]; there are n*n of them (grey), or 3*n*n (colour; row by row, each pixel's red, green "
    "and blue together).",
)


def _read_rows(path: Path) -> Iterator[_Row]:
    with path.open(encoding="utf-8-sig") as file:
        first = True
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            label, _, pixels = line.strip().partition(",")
            if '"' in line:
                label, pixels = _unquote(line)
            header = first and not any(_is_number(cell) for cell in pixels.split(","))
            first = False
            if not header:
                yield _Row(number, label.strip(), pixels)


def _unquote(line: str) -> tuple[str, str]:
    try:
        label, *cells = next(csv.reader([line.strip()]))
    except csv.Error:  # a quote that is never closed before the field is too long
        return "", ""
    return label, ",".join(cells)


def _is_number(cell: str) -> bool:
    try:
        return "_" not in cell and math.isfinite(float(cell))
    except ValueError:
        return False


def _all_in_range(cells: list[str]) -> bool:
    try:
        return bool((np.abs(np.array(cells, dtype=np.float64)) <= 255).all())
    except ValueError:
        return False


def _parse_rows(name: str, path: Path) -> tuple[list[str], np.ndarray]:
    """Labels, and pixels (N, P) as uint8, or float32 in [0, 1]; fast, and slow only to find a fault."""
    first = next(_read_rows(path), None)
    if first is None:
        raise UserError("--dataset", name, _ALLOWED, why="holds no row")
    if not first.pixels:
        raise _make_fault(name, first.number, "has no pixels")
    rows: list[tuple[int, str]] = []

    def pixels_of_read_rows() -> Iterator[str]:
        for row in _read_rows(path):
            rows.append((row.number, row.label))
            yield row.pixels

    try:
        pixels = np.loadtxt(pixels_of_read_rows(), delimiter=",", dtype=np.float32, ndmin=2, comments=None)
    except UnicodeDecodeError:
        raise
    except ValueError:
        raise _find_fault(name, path) from None
    # NumPy passes over rows without pixels
    if len(pixels) != len(rows) or not np.isfinite(pixels).all() or not all(label for _, label in rows):
        raise _find_fault(name, path)
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 255:
        row = int(np.argmax((pixels.min(1) < 0) | (pixels.max(1) > 255)))
        found = pixels[row].min() if pixels[row].min() < 0 else pixels[row].max()
        raise _make_fault(name, rows[row][0], f"holds {found:g}")
    labels = [label for _, label in rows]
    whole = bool((pixels == np.rint(pixels)).all())
    if high <= 1 and not whole:
        return labels, pixels
    return labels, np.rint(pixels).astype(np.uint8) if high > 1 else (pixels * 255).astype(np.uint8)


def _find_fault(name: str, path: Path) -> UserError:
    width = None
    for row in _read_rows(path):
        cells = row.pixels.split(",") if row.pixels else []
        width = width or len(cells)
        if not row.label:
            return _make_fault(name, row.number, "has no label")
        if len(cells) != width:
            return _make_fault(name, row.number, f"has {len(cells) + 1} columns where the first row has {width + 1}")
        if "_" not in row.pixels and _all_in_range(cells):
            continue
        for column, cell in enumerate(cells, 2):
            if not _is_number(cell):
                return _make_fault(name, row.number, f"holds {cell[:40]!r} in column {column}, which is not a number")
            if abs(float(cell)) > 255:
                return _make_fault(name, row.number, f"holds {float(cell):g}")
    return UserError("--dataset", name, _ALLOWED, why="cannot be read as numbers")


def _make_fault(name: str, line: int, why: str) -> UserError:
    return UserError("--dataset", name, _ALLOWED, why=f"row {line} {why}")


def _find_square(name: str, pixels: int) -> tuple[int, int]:
    for channels in (1, 3):
        side = math.isqrt(pixels // channels)
        if channels * side * side == pixels:
            return channels, side
    raise UserError("--dataset", name, _ALLOWED, why=f"its rows have {pixels} pixels, which make no square")


def _number_labels(labels: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """The labels' names, in the order of their numbers if all of them are numbers, and each row's index in it."""
    keys = labels
    names = sorted(set(labels))
    if all(_is_number(label) for label in names):
        whole = {label: str(int(float(label))) if float(label).is_integer() else label for label in names}
        keys = [whole[label] for label in labels]
        names = sorted(set(keys), key=float)
    index = {label: number for number, label in enumerate(names)}
    return tuple(names), np.array([index[key] for key in keys], dtype=np.int64)
