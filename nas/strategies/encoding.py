"""Genotypes as rows of numbers, and how far apart they are: what a model of results learns from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nas.core.genotype import Genotype
from nas.core.space import Choice, Traceable

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int16]
"""The places of decisions' values, (genotypes, sites)."""
Counts = npt.NDArray[np.unsignedinteger[Any]]

_OWN_WEIGHT = 24  # with more sites than this, like ones share a weight: a few dozen trials cannot tell them apart
_FEWEST_ALIKE = 3
_ABSENT = -1
_AT_ONCE = 8


class Encoding:
    """Distances between genotypes of a traceable space, decision by decision and in how often each value is used.

    Two kinds of features, each a distance in [0, 1]:

    - a **decision**: 0 where both made it alike, 1 where they did not or one did not make it; of ordered values the
      difference of their places. In spaces of many decisions those of the same values and role share a feature.
    - a **count**: how often a value was chosen among decisions of the same values, the operations of a cell's edges
      say, as a share of them. That two cells hold the same operations elsewhere is told by nothing else.

    Features are those of the genotypes that were learned last; others are compared by these features alone.
    """

    def __init__(self, space: Traceable) -> None:
        self._space = space
        self._column: dict[str, int] = {}
        self._choices: list[Choice] = []
        self._codes: dict[str, dict[object, int]] = {}
        self._rows: dict[str, list[int]] = {}
        self._groups: list[list[int]] = []
        self._counted: list[list[int]] = []

    def learn(self, genotypes: list[Genotype]) -> None:
        """Meet the sites of these genotypes, and let the features be those of all sites met so far."""
        for genotype in genotypes:
            self.row(genotype)
        self._groups, self._counted = self.groups(), self.counted()

    def row(self, genotype: Genotype) -> list[int]:
        """The place of each decision's value, by site in the order in which sites were met."""
        known = self._rows.get(genotype.text)
        if known is None:
            known = [_ABSENT] * len(self._choices)
            for decision in self._space.trace(genotype):
                choice = decision.choice
                if len(choice.values) == 1:
                    continue
                if choice.site not in self._column:
                    self._column[choice.site] = len(self._choices)
                    self._choices.append(choice)
                    self._codes[choice.site] = {value: place for place, value in enumerate(choice.values)}
                    known.append(_ABSENT)
                known[self._column[choice.site]] = self._codes[choice.site][decision.value]
            self._rows[genotype.text] = known
        return known

    def matrix(self, genotypes: list[Genotype]) -> Rows:
        """Rows of all, (genotypes, sites)."""
        rows = [self.row(genotype) for genotype in genotypes]  # all, before their widths are known
        width = len(self._choices)
        return np.array([row + [_ABSENT] * (width - len(row)) for row in rows], dtype=np.int16).reshape(-1, width)

    def groups(self) -> list[list[int]]:
        """The sites that share a decision feature."""
        if len(self._choices) <= _OWN_WEIGHT:
            return [[column] for column in range(len(self._choices))]
        alike: dict[object, list[int]] = {}
        for column, choice in enumerate(self._choices):
            alike.setdefault((choice.role, choice.level, choice.values), []).append(column)
        return list(alike.values())

    def counted(self) -> list[list[int]]:
        """Groups of sites of the same unordered values, whose values are counted."""
        kinds = Counter((c.role, c.level, c.values) for c in self._choices if not c.ordered)
        return [
            [i for i, c in enumerate(self._choices) if not c.ordered and (c.role, c.level, c.values) == kind]
            for kind, number in kinds.items()
            if number >= _FEWEST_ALIKE
        ]

    def reference(self, genotypes: list[Genotype]) -> Reference:
        """These genotypes, for others to be compared with, by the features that were learned last."""
        return Reference(self, self.matrix(genotypes))

    def compare_decisions(self, rows: Rows, known: Rows) -> Features:
        """The decision features of some rows, compared with known ones."""
        tables, index = [], np.zeros((len(rows), len(self._groups)), np.intp)
        others: dict[int, tuple[Counts | None, Array]] = {}
        owners: list[int] = []
        for number, group in enumerate(self._groups):
            if len(group) == 1:
                table = _tabulate(known[:, group[0]], self._choices[group[0]])
                index[:, number] = rows[:, group[0]] - _ABSENT + len(owners)
                tables.append(table)
                owners += [number] * len(table)
            elif any(self._choices[column].ordered for column in group):
                every = [
                    _tabulate(known[:, column], self._choices[column])[rows[:, column] - _ABSENT] for column in group
                ]
                others[number] = (None, sum(every[1:], start=every[0]) / len(group))
            else:  # how many differ
                found = np.zeros((len(rows), len(known)), np.uint8 if len(group) < 256 else np.uint16)
                for column in group:
                    found += rows[:, column, None] != known[:, column]
                others[number] = (found, np.arange(len(group) + 1) / len(group))
        return Features(_join(tables, len(known)), np.array(owners, dtype=np.intp), index, others)

    def compare_counts(self, rows: Rows, known: Rows) -> Features:
        """The count features of some rows, compared with known ones."""
        tables, index = [], []
        owners: list[int] = []
        for group in self._counted:
            shares = np.arange(len(group) + 1) / len(group)
            values = np.arange(len(self._choices[group[0]].values), dtype=rows.dtype)
            mine, theirs = ((those[:, group, None] == values).sum(1) for those in (rows, known))
            for place in range(len(values)):
                index.append(mine[:, place] + len(owners))
                tables.append(np.abs(shares[:, None] - shares[theirs[:, place]]))
                owners += [(len(tables) - 1)] * len(shares)
        columns = np.stack(index, axis=1) if index else np.zeros((len(rows), 0), np.intp)
        return Features(_join(tables, len(known)), np.array(owners, dtype=np.intp), columns, {})


def _join(tables: list[Array], known: int) -> Array:
    return np.concatenate([*tables, np.zeros((0, known))])


def _tabulate(known: Rows, choice: Choice) -> Array:
    """How far each place, that of an absent decision first, is from the known ones: (places, known)."""
    every = np.arange(_ABSENT, len(choice.values))[:, None]
    differ = every != known
    if not choice.ordered:
        return np.asarray(differ, dtype=np.float64)
    away = np.abs(every - known) / (len(choice.values) - 1)
    return np.asarray(np.where((every == _ABSENT) | (known == _ABSENT), differ, away))


Change = Callable[[Array, Array], Array]
"""A function of distances, each by itself, and of a weight that their feature has."""


@dataclass(frozen=True)
class Features:
    """Numbers of N genotypes and M known ones for each of F features: few are different, and they are looked up.

    Attributes:
        table: a row of M for each place that a genotype may have in a feature.
        owners: the feature of each row.
        index: (N, F) which row each genotype has.
        others: features without rows: either (N, M) whole numbers and what each stands for, or the numbers themselves.
    """

    table: Array
    owners: npt.NDArray[np.intp]
    index: npt.NDArray[np.intp]
    others: Mapping[int, tuple[Counts | None, Array]]

    @classmethod
    def of(cls, numbers: Array) -> Features:
        """Features of numbers (N, M, F)."""
        each = {number: (None, numbers[:, :, number]) for number in range(numbers.shape[2])}
        index = np.zeros((len(numbers), len(each)), np.intp)
        return cls(np.zeros((1, numbers.shape[1])), np.zeros(1, np.intp), index, each)

    @property
    def count(self) -> int:
        """How many features there are."""
        return int(self.index.shape[1])

    def change(self, change: Change, weights: Array) -> Features:
        """What a function makes of all, with a weight for each feature."""
        others = {number: (places, change(found, weights[number])) for number, (places, found) in self.others.items()}
        own = change(self.table, weights[self.owners][:, None]) if self.count else self.table
        return replace(self, table=own, others=others)

    def rows(self, part: slice = slice(None)) -> Array:
        """Those of some of the N genotypes: (n, F, M)."""
        index = self.index[part]
        found = self.table[index] if len(self.table) else np.empty((*index.shape, self.table.shape[1]))
        for number, (places, values) in self.others.items():
            found[:, number] = values[part] if places is None else values[places[part]]
        return found

    def array(self, part: slice = slice(None)) -> Array:
        """As `rows`, but (n, M, F)."""
        return np.ascontiguousarray(self.rows(part).transpose(0, 2, 1))


@dataclass(frozen=True)
class Distances:
    """The distances of N genotypes from M known ones, in [0, 1], feature by feature."""

    decisions: Features
    counts: Features

    def parts(self) -> Iterator[slice]:
        """Some of the N genotypes after the other, as many as stay in the processor's cache."""
        return (slice(start, start + _AT_ONCE) for start in range(0, len(self.decisions.index), _AT_ONCE))


@dataclass(frozen=True)
class Reference:
    """Genotypes that others are compared with."""

    encoding: Encoding
    known: Rows

    def compare(self, genotypes: list[Genotype]) -> Distances:
        """The distances of some genotypes from these."""
        return self.compare_rows(self.encoding.matrix(genotypes))

    def compare_rows(self, rows: Rows) -> Distances:
        """As `compare`, of a matrix."""
        return Distances(
            self.encoding.compare_decisions(rows, self.known), self.encoding.compare_counts(rows, self.known)
        )
