"""Asynchronous successive halving (Li et al. 2020)."""

from __future__ import annotations

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


class Asha:
    """Asynchronous successive halving (Li et al. 2020, algorithm 2): promote who can be, else begin a new candidate.

    There are rungs after ..., R / eta^2, R / eta, R epochs, where R are those of a whole training. Whenever there is
    something to do, the rungs are looked at from the last but one down: a candidate that is among the floor(n / eta)
    best of the n that have come to a rung, and has not been promoted, goes on to the next one from its checkpoint,
    the best first. Where there is none, a new candidate begins. So nobody waits for anybody, and who was overtaken at
    first is promoted once enough others have come.
    """

    def __init__(
        self,
        *,
        epochs: int,
        trials: int,
        reduction: Annotated[int, "eta: one in so many is promoted"] = 3,
        first: Annotated[int | None, "epochs of the first rung, at least; by default there are three rungs"] = None,
    ) -> None:
        self._reduction = reduction
        self.rungs = choose_rungs("asha", first, reduction, epochs, trials)

    def begin(self, index: int) -> TrainRung:
        """All candidates begin at the lowest rung."""
        return begin_training(0, self.rungs)

    def promote(self, trials: Sequence[Trial], *, closed: bool, able: Callable[[int], bool]) -> Trial | None:
        """Who is promotable, at the highest rung where anyone is."""
        for rungs in group_by_rung(trials).values():
            for rung, above in reversed(list(pairwise(rungs))):
                ranked = rank_ended(rung)
                for trial in list_waiting(ranked, above, len(ranked) // self._reduction):
                    if able(trial.number):
                        return trial
        return None

    def advance(self, trial: Trial) -> TrainRung:
        """To the next rung."""
        return continue_training(trial, self.rungs)

    def find_needed(self, trials: Sequence[Trial], expected: int) -> set[int]:
        """Those that are good enough for as many as may yet come."""
        return {
            number
            for rungs in group_by_rung(trials).values()
            for number in find_promotable(rungs, self._reduction, max(expected, len(rungs[0])))
        }
