"""Columns of a table, or channels of sequences: which numbers of an example they are, and their scale."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas.data.mapped import allocate_like
from nas.data.pieces import slice_rows

_VALUES_KEPT = 2**24  # of a column, as float64, while it is measured


@dataclass(frozen=True)
class Column:
    """One column of a table, or one channel of sequences, and how it becomes numbers of a vector.

    Attributes:
        name: what the table calls it; of what has no names its number, from ``0``.
        values: of a column of words: each is one number of the vector, 1 for the value that it is and 0 for others;
            empty for numbers.
        mean: of the training part, which is subtracted.
        deviation: of the training part, which is divided by (1 where nothing varies).
    """

    name: str
    values: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def width(self) -> int:
        """How many numbers of the vector it takes."""
        return len(self.values) or 1


def name_columns(count: int) -> tuple[Column, ...]:
    """Columns of numbers that have no names: they are called by their places, from ``0``."""
    return tuple(Column(str(place)) for place in range(count))


def find_places(columns: Sequence[Column]) -> tuple[slice, ...]:
    """Which numbers of the vector each of the columns is."""
    ends = list(accumulate((column.width for column in columns), initial=0))
    return tuple(slice(start, end) for start, end in pairwise(ends))


def standardise(train: Tensor, *others: Tensor, columns: Sequence[Column]) -> tuple[list[Tensor], tuple[Column, ...]]:
    """The parts with numbers of mean 0 and deviation 1 over `train`, and the columns with what was done to them.

    Args:
        train, others: vectors (N, D) or sequences (N, C, T), whose columns are the channels; NaN is what is missing.

    Returns:
        The parts as float32, `train` first, and the columns with means and deviations, by `fit_columns`.
    """
    fitted = fit_columns(train, columns)
    return [scale_examples(part, fitted) for part in (train, *others)], fitted


def fit_columns(train: Tensor, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns with the means and the deviations (of the population) of `train`, (N, D) or (N, C, T), without NaN.

    Sums are exact, so that every machine finds the same numbers, and data is recognised everywhere.
    """
    fitted = []
    for column, place in zip(columns, find_places(columns), strict=True):
        if column.values:
            fitted.append(replace(column, mean=0.0, deviation=1.0))
            continue
        read = functools.partial(_read_known, train[:, place])
        few = train[:, place].numel() <= _VALUES_KEPT
        mean, deviation = _measure([*read()].copy if few else read)
        fitted.append(replace(column, mean=mean, deviation=deviation))
    return tuple(fitted)


def scale_examples(examples: Tensor, columns: Sequence[Column]) -> Tensor:
    """Examples (N, D) or (N, C, T) in the units of their columns, as float32 of about mean 0 and deviation 1."""
    mean, deviation = _scales(columns, examples)
    scaled = allocate_like(examples, examples.shape, torch.float32).to(examples.device)
    for rows in slice_rows(examples.shape):
        scaled[rows] = (examples[rows].double() - mean) / deviation
    return scaled


def unscale_examples(examples: Tensor, columns: Sequence[Column]) -> Tensor:
    """Standardised examples (N, D) or (N, C, T) back in the units of their columns, float64."""
    mean, deviation = _scales(columns, examples)
    return examples.double() * deviation + mean


def to_json(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The columns as what JSON can hold, of which `from_json` makes the same again."""
    return [
        {"name": column.name, "values": list(column.values), "mean": column.mean, "deviation": column.deviation}
        for column in columns
    ]


def from_json(document: Sequence[dict[str, Any]]) -> tuple[Column, ...]:
    """The columns that `to_json` gave."""
    return tuple(Column(**{**one, "values": tuple(one["values"])}) for one in document)


def _read_known(numbers: Tensor) -> Iterator[np.ndarray]:
    """The numbers (N, ...) that are not NaN, float64, many at once: they may not fit into memory."""
    for rows in slice_rows(numbers.shape):
        some = numbers[rows].cpu().double().numpy().ravel()
        yield some[~np.isnan(some)]


def _measure(read: Callable[[], Iterable[np.ndarray]]) -> tuple[float, float]:
    """Mean and deviation of float64 numbers, which are read several times; the latter 1 where it is 0, or none are."""

    def add(parts: Iterable[np.ndarray]) -> float:
        return math.fsum(chain.from_iterable(part.tolist() for part in parts))

    count = sum(map(len, read()))
    if not count:
        return 0.0, 1.0
    mean = add(read()) / count
    furthest = max(float(np.abs(part - mean).max(initial=0)) for part in read())
    if furthest <= 1e-14 * abs(mean):  # a mean is rounded, so equal numbers can differ from theirs
        return mean, 1.0
    squares = add(((part - mean) / furthest) ** 2 for part in read())  # which neither over- nor underflow
    return mean, furthest * math.sqrt(squares / count)


def _scales(columns: Sequence[Column], examples: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation of each number of an example, float64, (D,) or (C, 1)."""
    widths = [column.width for column in columns]
    shape = (sum(widths), *(1 for _ in examples.shape[2:]))

    def spread(numbers: list[float]) -> Tensor:
        return torch.from_numpy(np.repeat(numbers, widths)).to(examples.device).view(shape)

    return spread([column.mean for column in columns]), spread([column.deviation for column in columns])
