"""Evaluators: how good a candidate is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from nas.core.genotype import Genotype
from nas.core.trial import Measurement, Objective, Trial

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Assumption:
    """A restriction of the space that an objective needs to make sense, unless the user decides otherwise."""

    site: str
    values: tuple[str | int | float | bool, ...]
    reason: str


class Evaluator(Protocol):
    """Scores candidates of one space on one data set."""

    @property
    def objectives(self) -> Mapping[str, Objective]:
        """The metrics that a search may be asked to optimise; the first is the default."""

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """Train the trial's genotype and measure it after every epoch; may be closed between two.

        Raises:
            CandidateFailure: the candidate diverged or did not fit into memory.
            UserError: what was asked for cannot be done with any candidate.
        """


@runtime_checkable
class SupernetEvaluator(Protocol):
    """The evaluator can train supernets; its `evaluate` passes trials that propose one on to this."""

    def train_supernet(self, trial: Trial) -> Iterator[Measurement]:
        """Train the supernet around the trial's genotype, and say after every epoch what is derived from it.

        The last measurement's ``derived`` has, after the strongest genotype, as many further ones as the plan's
        ``samples``. No weights are kept: nothing of a supernet is exported.

        Raises:
            CandidateFailure: the supernet diverged or did not fit into memory.
        """


@runtime_checkable
class Testable(Protocol):
    """The evaluator's last measurement brings the weights, and it can test a model: so the best is exported."""

    def test(self, genotype: Genotype, model: nn.Module, seed: int) -> dict[str, float]:
        """The metrics of quality on the test part, which no search has seen."""

    def samples(self, count: int = 16) -> Any:
        """Images of the test part, as ``images``, to show what a model does."""
