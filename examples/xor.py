"""Logic problems for networks whose weights are part of their genotype: nothing is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from nas.core.evaluator import Evaluator
from nas.core.genotype import Genotype
from nas.core.metric import Metric, metrics_by_name
from nas.core.trial import Measurement, Trial

Rows = Sequence[Sequence[float]]


class Computes(Protocol):
    """The space says what a genotype computes."""

    def function(self, genotype: Genotype) -> Callable[[Rows], Rows]:
        """From rows of inputs to rows of outputs in (0, 1)."""


XOR: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = (
    ((0.0, 0.0), (0.0,)),
    ((0.0, 1.0), (1.0,)),
    ((1.0, 0.0), (1.0,)),
    ((1.0, 1.0), (0.0,)),
)
"""The exclusive or: pairs of inputs and outputs."""


class LogicEvaluator(Evaluator):
    """How nearly a network computes a truth table (Stanley & Miikkulainen 2002, section 4.1).

    Metrics: ``fitness``, the square of the number of outputs less the sum of their absolute errors: (4 - sum)^2 for
    the exclusive or; ``solved``, 1 if every output is on the right side of 1/2, else 0.
    """

    def __init__(self, space: Computes, cases: Sequence[tuple[Sequence[float], Sequence[float]]] = XOR) -> None:
        self.space = space
        self._inputs = [inputs for inputs, _ in cases]
        self._wanted = [value for _, outputs in cases for value in outputs]

    metrics = metrics_by_name(Metric("fitness", "maximize"), Metric("solved", "maximize"))

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """One measurement."""
        rows = self.space.function(trial.genotype)(self._inputs)
        errors = [
            abs(wanted - given)
            for wanted, given in zip(self._wanted, (value for row in rows for value in row), strict=True)
        ]
        solved = all(error < 0.5 for error in errors)
        yield Measurement(1, {"fitness": (len(errors) - sum(errors)) ** 2, "solved": float(solved)})
