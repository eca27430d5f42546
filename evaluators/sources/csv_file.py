"""Images in CSV: a row an image, its label first."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import torch

from evaluators.images import Split
from evaluators.sources import Source
from nas.core.errors import UserError

_ALLOWED = "rows of a label and then n*n pixels (grey) or 3*n*n (colour), all in [0, 255] or all in [0, 1]"


def load(name: str, path: Path) -> Source:
    """The images of a file; a first line of names is passed over.

    Raises:
        UserError: no such file, no rows, a row of another length, something that is no number or out of range,
            naming the line; a number of pixels that makes no square.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError("--dataset", name, "a CSV file that can be read", why=why) from None
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if numbered and _is_header(numbered[0][1]):
        numbered = numbered[1:]
    if not numbered:
        raise UserError("--dataset", name, _ALLOWED, why="holds no row")
    labels, pixels = _parsed(name, numbered)
    channels, side = _square(name, pixels.shape[1])
    images = torch.from_numpy(pixels.reshape(len(pixels), side, side, channels).transpose(0, 3, 1, 2).copy())
    classes, numbers = _classes(labels)
    return Source(Split(images, torch.from_numpy(numbers)), classes=classes)


def _is_header(line: str) -> bool:
    return not any(_is_number(cell) for cell in next(csv.reader([line]))[1:])


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parsed(name: str, numbered: list[tuple[int, str]]) -> tuple[list[str], np.ndarray]:
    """Labels, and pixels (N, P) as uint8, or float32 in [0, 1]; fast, and slow only to find a fault."""
    width = len(next(csv.reader([numbered[0][1]])))
    labels = [line.split(",", 1)[0].strip().strip('"') for _, line in numbered]
    if width < 2:
        raise _fault(name, numbered[0][0], "has no pixels")
    try:
        rest = [line.split(",", 1)[1] for _, line in numbered]
        pixels = np.loadtxt(rest, delimiter=",", dtype=np.float32, ndmin=2, quotechar='"', comments=None)
    except (ValueError, IndexError):
        raise _find_fault(name, numbered, width) from None
    if pixels.shape[1] != width - 1 or not np.isfinite(pixels).all():
        raise _find_fault(name, numbered, width)
    low, high = float(pixels.min()), float(pixels.max())
    if low < 0 or high > 255:
        row = int(np.argmax((pixels.min(1) < 0) | (pixels.max(1) > 255)))
        found = pixels[row].min() if pixels[row].min() < 0 else pixels[row].max()
        raise _fault(name, numbered[row][0], f"holds {found:g}")
    whole = bool((pixels == np.rint(pixels)).all())
    if high <= 1 and not whole:
        return labels, pixels
    return labels, np.rint(pixels).astype(np.uint8) if high > 1 else (pixels * 255).astype(np.uint8)


def _find_fault(name: str, numbered: list[tuple[int, str]], width: int) -> UserError:
    for number, line in numbered:
        cells = next(csv.reader([line]))
        if len(cells) != width:
            return _fault(name, number, f"has {len(cells)} columns where the first row has {width}")
        for column, cell in enumerate(cells[1:], 2):
            if not _is_number(cell) or not math.isfinite(float(cell)):
                return _fault(name, number, f"holds {cell[:40]!r} in column {column}, which is not a number")
    return UserError("--dataset", name, _ALLOWED, why="cannot be read as numbers")


def _fault(name: str, line: int, why: str) -> UserError:
    return UserError("--dataset", name, _ALLOWED, why=f"row {line} {why}")


def _square(name: str, pixels: int) -> tuple[int, int]:
    for channels in (1, 3):
        side = math.isqrt(pixels // channels)
        if channels * side * side == pixels:
            return channels, side
    raise UserError("--dataset", name, _ALLOWED, why=f"its rows have {pixels} pixels, which make no square")


def _classes(labels: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    try:
        keys: list[str] = [str(int(float(label))) if float(label).is_integer() else label for label in labels]
        names = sorted(set(keys), key=float)
    except ValueError:
        keys, names = labels, sorted(set(labels))
    index = {label: number for number, label in enumerate(names)}
    return tuple(names), np.array([index[key] for key in keys], dtype=np.int64)
