"""Genotypes as rows of numbers, and how far apart they are: what a model of results learns from."""

from __future__ import annotations

import functools
from collections import Counter

import numpy as np
import numpy.typing as npt

from nas.core.genotype import Genotype
from nas.core.space import Choice, Traceable

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int16]

_OWN_WEIGHT = 24  # with more sites than this, like ones share a weight: a few dozen trials cannot tell them apart
_FEWEST_ALIKE = 3
_ABSENT = -1  # also the last place of a table of distances


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
        self._rows: dict[str, Codes] = {}
        self._groups: list[list[int]] = []
        self._counted: list[list[int]] = []

    def learn(self, genotypes: list[Genotype]) -> None:
        """Meet the sites of these genotypes, and let the features be those of all sites met so far."""
        for genotype in genotypes:
            self.row(genotype)
        self._groups, self._counted = self.groups(), self.counted()

    def row(self, genotype: Genotype) -> Codes:
        """The place of each decision's value, by site in the order in which sites were met."""
        known = self._rows.get(genotype.text)
        if known is None:
            codes = [_ABSENT] * len(self._choices)
            for decision in self._space.trace(genotype):
                choice = decision.choice
                if len(choice.values) == 1:
                    continue
                if choice.site not in self._column:
                    self._column[choice.site] = len(self._choices)
                    self._choices.append(choice)
                    self._codes[choice.site] = {value: place for place, value in enumerate(choice.values)}
                    codes.append(_ABSENT)
                codes[self._column[choice.site]] = self._codes[choice.site][decision.value]
            known = self._rows[genotype.text] = np.array(codes, dtype=np.int16)
        return known

    def matrix(self, genotypes: list[Genotype]) -> Codes:
        """Rows of all, (genotypes, sites)."""
        rows = [self.row(genotype) for genotype in genotypes]  # all, before their widths are known
        matrix = np.full((len(rows), len(self._choices)), _ABSENT, dtype=np.int16)
        for filled, row in zip(matrix, rows, strict=True):
            filled[: len(row)] = row
        return matrix

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

    def distances(self, first: Codes, second: Codes) -> tuple[Array, Array]:
        """Between each pair of two matrices: (decision features, first, second) and (counts, first, second)."""
        decisions = np.empty((len(self._groups), len(first), len(second)))
        for away, group in zip(decisions, self._groups, strict=True):
            self._write_decision_distance(away, first, second, group)
        values = [(group, place) for group in self._counted for place in range(len(self._choices[group[0]].values))]
        counts = np.empty((len(values), len(first), len(second)))
        for away, (group, place) in zip(counts, values, strict=True):
            a, b = ((rows[:, group] == place).mean(1) for rows in (first, second))
            np.abs(np.subtract.outer(a, b, out=away), out=away)
        return decisions, counts

    def _write_decision_distance(self, away: Array, first: Codes, second: Codes, group: list[int]) -> None:
        # of bytes where that suffices: several times as fast
        unlike = np.zeros(away.shape, dtype=np.uint8 if len(group) < 256 else np.uint16)
        away[:] = 0
        for column in group:
            choice = self._choices[column]
            a, b = first[:, column], second[:, column]
            if choice.ordered:
                away += _ordered_distances(len(choice.values))[a][:, b]
            else:
                unlike += (a[:, None] != b[None, :]).view(np.uint8)
        away += unlike
        away /= len(group)


@functools.cache
def _ordered_distances(values: int) -> Array:
    """(values + 1, values + 1) between the places of ordered values; the last is that of a decision not made."""
    places = np.arange(values)
    table = np.ones((values + 1, values + 1))
    table[:-1, :-1] = np.abs(places[:, None] - places[None, :]) / (values - 1)
    table[-1, -1] = 0
    return table
