"""Hyperband: candidates are dealt out to brackets, each halved from another first rung on (Li et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from nas.core.space import generator_for
from nas.core.trial import Objective, Trial
from nas.early_stopping.option_checks import require_at_least, require_before_last
from nas.early_stopping.rungs import explain_demotion, find_passed_rungs, list_rungs

_OF_BRACKETS = 3  # the purpose of these draws: 1 is for trials' seeds, strategies have 2


class Hyperband:
    """Hyperband (Li et al. 2018), asynchronous: brackets of successive halving that begin to stop later and later.

    Bracket s = 0, 1, ... is `asha` with its first rung after r eta^s epochs; the last one stops nothing, or hardly
    anything. So a candidate that learns slowly at first is not always lost, at the price of more epochs. The share
    of the trials that each bracket has is algorithm 1's, and so is the number of brackets; trials are compared with
    those of their bracket alone. Which that is follows from a trial's number and the run's seed: in every row of as
    many trials as the shares add up to, each bracket has its share, in random order.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        epochs: int,
        seed: int,
        reduction: Annotated[int, "eta: one in so many goes on from a rung"] = 3,
        first: Annotated[int, "r: epochs before the first rung of the first bracket"] = 1,
    ) -> None:
        self._objective, self._seed = objective, seed
        self._reduction = require_at_least("reduction", reduction, 2)
        require_before_last("first", first, epochs)
        starts = [first, *list_rungs(first * reduction, reduction, epochs + 1)]
        self._brackets = [list_rungs(start, reduction, epochs) for start in starts]
        most = len(starts) - 1  # s_max, which the paper counts s down from
        self._rows: dict[int, list[int]] = {}  # drawn once, since they are asked for again and again
        self.shares: list[int] = [math.ceil((most + 1) * reduction**s / (s + 1)) for s in range(most, -1, -1)]

    def bracket(self, number: int) -> int:
        """Of the trial of this number; the first, 0, stops earliest."""
        row, place = divmod(number, sum(self.shares))
        if row not in self._rows:
            slots = [bracket for bracket, share in enumerate(self.shares) for _ in range(share)]
            order = generator_for(self._seed, row, _OF_BRACKETS).permutation(len(slots))
            self._rows[row] = [slots[int(place)] for place in order]
        return self._rows[row][place]

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """That its loss at a rung is not among the best of its bracket."""
        own = self.bracket(trial.number)
        rungs = self._brackets[own]
        if not find_passed_rungs(trial, rungs):
            return None
        same = [other for other in others if self.bracket(other.number) == own]
        return explain_demotion(f"hyperband, bracket {own}", self._objective, rungs, self._reduction, trial, same)
