"""Hyperband: brackets of successive halving, each with fewer candidates and a later first rung (Li et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Annotated

from nas.core.job import TrainRung
from nas.core.trial import Trial
from nas.promotion.rungs import (
    begin_training,
    choose_rungs,
    continue_training,
    find_promotable,
    group_by_rung,
    list_waiting,
    rank_ended,
)


class Hyperband:
    """Hyperband (Li et al. 2018, algorithm 1): synchronous successive halving in brackets that begin later and later.

    Bracket s = s_max, ..., 0 has n = ceil((s_max + 1) eta^s / (s + 1)) candidates, whose first rung is after
    R / eta^s epochs; those of the last one are trained in full. Once all n_i candidates of a rung have ended, the
    floor(n_i / eta) best go on to the next one from their checkpoints. After the last bracket comes the first again.
    Where no further candidate begins, the bracket that was being filled goes on with those that it has.

    With several workers candidates of the next bracket begin while a rung is waited for.
    """

    def __init__(
        self,
        *,
        epochs: int,
        trials: int,
        reduction: Annotated[int, "eta: one in so many is promoted"] = 3,
        first: Annotated[int | None, "epochs of the first rung, at least; by default there are three brackets"] = None,
    ) -> None:
        self._reduction = reduction
        self.rungs = choose_rungs("hyperband", first, reduction, epochs, trials)
        count = len(self.rungs)  # s_max + 1
        self.sizes = [math.ceil(count * reduction**s / (s + 1)) for s in reversed(range(count))]

    def _rungs_of(self, bracket: int) -> tuple[int, ...]:
        return self.rungs[bracket % len(self.sizes) :]

    def begin(self, index: int) -> TrainRung:
        """In the bracket that is being filled."""
        row, place = divmod(index, sum(self.sizes))
        bracket = row * len(self.sizes)
        for size in self.sizes:
            if place < size:
                break
            place, bracket = place - size, bracket + 1
        return begin_training(bracket, self._rungs_of(bracket))

    def promote(self, trials: Sequence[Trial], *, closed: bool, able: Callable[[int], bool]) -> Trial | None:
        """Who goes on from a rung to which all have come that will."""
        for bracket, rungs in group_by_rung(trials).items():
            if not closed and len(rungs[0]) < self.sizes[bracket % len(self.sizes)]:
                continue
            for rung, above in pairwise(rungs):
                ranked = rank_ended(rung)
                if len(ranked) < len(rung):
                    break
                for trial in list_waiting(ranked, above, len(ranked) // self._reduction):
                    if able(trial.number):
                        return trial
        return None

    def advance(self, trial: Trial) -> TrainRung:
        """To the next rung of its bracket."""
        assert isinstance(trial.job, TrainRung)
        return continue_training(trial, self._rungs_of(trial.job.bracket))

    def find_needed(self, trials: Sequence[Trial], expected: int) -> set[int]:
        """Those that are good enough for as many as their bracket may yet have."""
        brackets = group_by_rung(trials)
        coming = max(0, expected - sum(len(rungs[0]) for rungs in brackets.values()))
        return {
            number
            for bracket, rungs in brackets.items()
            for number in find_promotable(
                rungs, self._reduction, min(self.sizes[bracket % len(self.sizes)], len(rungs[0]) + coming)
            )
        }
