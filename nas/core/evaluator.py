"""Evaluators: how good a candidate is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from nas.core.trial import Measurement, Objective, Trial


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
