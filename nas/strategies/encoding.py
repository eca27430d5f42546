"""Genotypes as rows of numbers, and how far apart they are: what a model of results learns from."""

from __future__ import annotations

from collections import Counter

import numpy as np
import numpy.typing as npt

from nas.core.genotype import Genotype
from nas.core.space import Choice, Traceable

Array = npt.NDArray[np.float64]

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

    def matrix(self, genotypes: list[Genotype]) -> npt.NDArray[np.int64]:
        """Rows of all, (genotypes, sites)."""
        rows = [self.row(genotype) for genotype in genotypes]  # all, before their widths are known
        width = len(self._choices)
        return np.array([row + [_ABSENT] * (width - len(row)) for row in rows], dtype=np.int64).reshape(-1, width)

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

    def distances(self, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> tuple[Array, Array]:
        """Between each pair of two matrices: (first, second, decision features) and (first, second, counts)."""
        decisions = [self._decision_distance(first, second, group) for group in self._groups]
        counts = [
            np.abs(a[:, None] - b[None, :])
            for group in self._counted
            for place in range(len(self._choices[group[0]].values))
            for a, b in [((first[:, group] == place).mean(1), (second[:, group] == place).mean(1))]
        ]
        shape = (len(first), len(second), 0)
        return (
            np.stack(decisions, axis=2) if decisions else np.zeros(shape),
            np.stack(counts, axis=2) if counts else np.zeros(shape),
        )

    def _decision_distance(
        self, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], group: list[int]
    ) -> Array:
        total = np.zeros((len(first), len(second)))
        for column in group:
            a, b = first[:, None, column], second[None, :, column]
            choice = self._choices[column]
            if choice.ordered:
                away = np.abs(a - b) / (len(choice.values) - 1)
                total += np.where((a == _ABSENT) | (b == _ABSENT), a != b, away)
            else:
                total += a != b
        return total / len(group)
