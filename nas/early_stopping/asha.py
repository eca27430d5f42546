"""Asynchronous successive halving (Li et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from nas.core.trial import Objective, Trial
from nas.early_stopping.option_checks import require_at_least, require_before_last
from nas.early_stopping.rungs import choose_first_rung, explain_demotion, list_rungs


class Asha:
    """Asynchronous successive halving (Li et al. 2020): go on with the better half of those who came as far.

    There are rungs after r, r eta, r eta^2, ... epochs, as long as that is before the last. Of the n trials that came
    to a rung so far, itself included, a trial goes on if its loss there is among the floor(n / eta) least, or the
    least where that is none. Algorithm 2 pauses the others and may promote them later; here they are stopped for
    good, as by Optuna's SuccessiveHalvingPruner, whose decisions these are.

    A trial that diverged or collapsed counts as the worst at all rungs up to the one it was on its way to: what its
    losses were before, when its learning rate was too high, is no measure for others. One that failed otherwise counts
    at the rungs that it came to.

    Usually one in three or four goes on. Two, with the first rung later, lost the best less often at as many epochs
    (docs/benchmarks.md).
    """

    def __init__(
        self,
        objective: Objective,
        *,
        epochs: int,
        seed: int,
        reduction: Annotated[int, "eta: one in so many goes on from a rung"] = 2,
        first: Annotated[
            int | None, "r: epochs before the first rung; by default a sixth of all, for GANs a half"
        ] = None,
    ) -> None:
        self._objective = objective
        self._reduction = require_at_least("reduction", reduction, 2)
        first = require_before_last("first", choose_first_rung(first, epochs), epochs)
        self._rungs = list_rungs(first, reduction, epochs)

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """That its loss at a rung is not among the best."""
        return explain_demotion("asha", self._objective, self._rungs, self._reduction, trial, others)
