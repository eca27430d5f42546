"""Looks results up in a table instead of training, for benchmarks of strategies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from nas.core.errors import Diverged
from nas.core.evaluator import Evaluator
from nas.core.genotype import Genotype
from nas.core.metric import Metric, metrics_by_name
from nas.core.space import generator_for
from nas.core.trial import Measurement, Objective, Trial


class TableEvaluator(Evaluator):
    """Gives one measurement a trial: one of the observed columns of a row, drawn at random like a training's result.

    Args:
        objective: what is measured, under this name.
        row_of: gives the row of a genotype.
        observed: the columns to draw from, each with a value for every row; NaN if there were fewer runs of a row.
    """

    def __init__(self, objective: Objective, row_of: Callable[[Genotype], int], observed: Sequence[np.ndarray]) -> None:
        self._objective, self._row_of = objective, row_of
        self._observed = np.stack(observed, axis=1)  # (rows, runs)

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Give the one column that is searched."""
        return metrics_by_name(Metric(self._objective.name, self._objective.direction))

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """Look the trial's row up; which of the observed columns is drawn depends on the trial's seed.

        Raises:
            Diverged: the table has no value there.
        """
        values = [value for value in self._observed[self._row_of(trial.genotype)] if np.isfinite(value)]
        if not values:
            raise Diverged("the table has no value for it")
        value = values[int(generator_for(trial.seed).integers(len(values)))] if len(values) > 1 else values[0]
        yield Measurement(1, {self._objective.name: float(value)})
