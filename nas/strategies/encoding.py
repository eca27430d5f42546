"""Genotypes as rows of numbers, and how far apart they are: what a model of results learns from."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
        self._choices: list[Choice] = []
        self._codes: dict[str, tuple[int, dict[object, int]]] = {}
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
            known, met = [_ABSENT] * len(self._choices), self._codes
            for decision in self._space.trace(genotype):
                site = decision.choice.site
                column, codes = met.get(site) or self._meet(decision.choice)
                if column == len(known):
                    known.append(_ABSENT)
                if codes:
                    known[column] = codes[decision.value]
            self._rows[genotype.text] = known
        return known

    def _meet(self, choice: Choice) -> tuple[int, dict[object, int]]:
        """The column of a site that was not met before, and the place of each value; neither where there is but one."""
        if len(choice.values) == 1:
            return -1, {}
        column = len(self._choices)
        self._choices.append(choice)
        self._codes[choice.site] = column, {value: place for place, value in enumerate(choice.values)}
        return self._codes[choice.site]

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

    def compare_decisions(self, rows: Rows, known: Reference) -> Features:
        """The decision features of some rows, compared with known ones."""
        index = np.zeros((len(rows), len(self._groups)), np.intp)
        others: dict[int, tuple[Counts | None, Array]] = {}
        table, owners, starts = known.decisions
        for number, group in enumerate(self._groups):
            if len(group) == 1:
                index[:, number] = rows[:, group[0]] - _ABSENT + starts[number]
        for number, steps in known.steps.items():
            away = steps[0][rows[:, self._groups[number][0]] - _ABSENT]
            for column, own in zip(self._groups[number][1:], steps[1:], strict=True):
                away += own[rows[:, column] - _ABSENT]
            furthest = self._count_steps(self._groups[number])
            others[number] = (away, np.arange(furthest + 1) / furthest)
        return Features(table, owners, index, others)

    def compare_counts(self, rows: Rows, known: Reference) -> Features:
        """The count features of some rows, compared with known ones."""
        table, owners, starts = known.counts
        index = [self._count(rows, group) for group in self._counted]
        columns = np.concatenate(index, axis=1) + starts if index else np.zeros((len(rows), 0), np.intp)
        return Features(table, owners, columns, {})

    def tabulate_decisions(self, columns: Rows) -> Table:
        """How far each value of a decision with a feature of its own is from the known ones, (sites, known)."""
        singles = {number: group[0] for number, group in enumerate(self._groups) if len(group) == 1}
        tables = {number: _tabulate(columns[one], self._choices[one]) for number, one in singles.items()}
        return _join(tables, len(self._groups), columns.shape[1])

    def tabulate_steps(self, columns: Rows) -> Mapping[int, list[Counts]]:
        """Of sites that share a feature, how many steps each value is from the known ones, (sites, known)."""
        found = {}
        for number, group in enumerate(self._groups):
            if len(group) > 1:
                most = self._count_steps(group)
                away = [most // len(group) * _tabulate(columns[column], self._choices[column]) for column in group]
                kind = np.min_scalar_type(most)
                found[number] = [one.round().astype(kind) for one in away]
        return found

    def _count_steps(self, group: list[int]) -> int:
        """How many steps like decisions can be away from each other, all together."""
        choices = [self._choices[column] for column in group]
        return len(group) * max(len(choice.values) - 1 if choice.ordered else 1 for choice in choices)

    def tabulate_counts(self, known: Rows) -> Table:
        """How far each share of a value is from its shares in the known ones."""
        tables: list[Array] = []
        for group in self._counted:
            shares = np.arange(len(group) + 1) / len(group)
            tables += [np.abs(shares[:, None] - shares[theirs]) for theirs in self._count(known, group).T]
        return _join(dict(enumerate(tables)), len(tables), len(known))

    def _count(self, rows: Rows, group: list[int]) -> npt.NDArray[np.intp]:
        """How often each value is used in a group of sites: (genotypes, values)."""
        places = len(self._choices[group[0]].values) - _ABSENT
        flat = np.arange(len(rows))[:, None] * places + (rows[:, group] - _ABSENT)
        return np.bincount(flat.ravel(), minlength=len(rows) * places).reshape(len(rows), places)[:, -_ABSENT:]


Table = tuple[Array, npt.NDArray[np.intp], npt.NDArray[np.intp]]
"""Rows of all features in one, the feature of each, and where each feature's begin; see `Features`."""


def _join(tables: Mapping[int, Array], features: int, known: int) -> Table:
    """The tables of some of the features."""
    sizes = np.array([len(tables.get(number, ())) for number in range(features)], np.intp)
    starts = np.cumsum(sizes) - sizes
    return np.concatenate([*tables.values(), np.zeros((0, known))]), np.repeat(np.arange(features), sizes), starts


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

    @functools.cached_property
    def _used(self) -> tuple[npt.NDArray[np.intp], Array]:
        """The rows of the table that some genotype has, and which of them each has: (N, used), 1 or 0."""
        index = self.index[:, np.unique(self.owners)]
        has = np.zeros((len(index), len(self.table)))
        has[np.arange(len(index))[:, None], index] = 1
        used = np.flatnonzero(has.any(0))
        return used, np.ascontiguousarray(has[:, used])

    def sum(self, change: Change, weights: Array) -> Array:
        """The sum over the features of what `change` makes of them: (N, M)."""
        used, has = self._used
        found = has @ change(self.table[used], weights[self.owners[used]][:, None])
        for number, (places, values) in self.others.items():
            changed = change(values, weights[number])
            found += changed if places is None else changed.take(places)
        return np.asarray(found, dtype=np.float64)

    def rows(self) -> Array:
        """All of them: (N, F, M)."""
        found = self.table[self.index] if len(self.table) else np.empty((*self.index.shape, self.table.shape[1]))
        for number, (places, values) in self.others.items():
            found[:, number] = values if places is None else values[places]
        return found


@dataclass(frozen=True)
class Distances:
    """The distances of N genotypes from M known ones, in [0, 1], feature by feature."""

    decisions: Features
    counts: Features


@dataclass(frozen=True)
class Reference:
    """Genotypes that others are compared with, by the features that the encoding had learned last."""

    encoding: Encoding
    rows: Rows

    @functools.cached_property
    def columns(self) -> Rows:
        """The rows' transpose: (sites, genotypes)."""
        return np.ascontiguousarray(self.rows.T)

    @functools.cached_property
    def decisions(self) -> Table:
        """The table of the decisions."""
        return self.encoding.tabulate_decisions(self.columns)

    @functools.cached_property
    def steps(self) -> Mapping[int, list[Counts]]:
        """The tables of decisions that share a feature, by the feature."""
        return self.encoding.tabulate_steps(self.columns)

    @functools.cached_property
    def counts(self) -> Table:
        """The table of the counts."""
        return self.encoding.tabulate_counts(self.rows)

    def compare(self, genotypes: list[Genotype]) -> Distances:
        """The distances of some genotypes from these."""
        return self.compare_rows(self.encoding.matrix(genotypes))

    def compare_rows(self, rows: Rows) -> Distances:
        """As `compare`, of a matrix."""
        return Distances(self.encoding.compare_decisions(rows, self), self.encoding.compare_counts(rows, self))
