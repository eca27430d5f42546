"""Promotion: whose training goes on, in successive halving that continues what it has begun."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from nas.core.job import TrainRung
from nas.core.trial import Trial


class Promotion(Protocol):
    """Decides from the trials alone which candidate is trained further, from the checkpoint it has left at its rung.

    A rule is constructed as ``Class(epochs=..., trials=..., **options)``: the epochs of a whole training, and how many
    candidates the run was asked for. It remembers nothing, so that a run that is resumed decides as one that was
    never interrupted. Losses are compared by non-dominated fronts, then by the first objective.
    """

    def begin(self, index: int) -> TrainRung:
        """The first part of the training of the candidate of this index: they are counted from 0 as they begin."""

    def promote(self, trials: Sequence[Trial], *, closed: bool, able: Callable[[int], bool]) -> Trial | None:
        """The trial whose candidate is trained to the next rung now; None where none is.

        Args:
            trials: all of the run that have begun, in any order.
            closed: whether no further candidate begins.
            able: whether the checkpoint of the trial of this number is still there.
        """

    def advance(self, trial: Trial) -> TrainRung:
        """The next part of a candidate's training, from the rung that this trial has come to."""

    def find_needed(self, trials: Sequence[Trial], expected: int) -> set[int]:
        """The numbers of the trials that may still be promoted, of a run that will have so many candidates."""
