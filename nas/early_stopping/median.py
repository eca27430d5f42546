"""The median stopping rule (Golovin et al. 2017, Google Vizier)."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Annotated

from nas.core.trial import Objective, Trial
from nas.early_stopping.losses import describe_loss
from nas.early_stopping.option_checks import require_at_least


class Median:
    """The median stopping rule (Golovin et al. 2017, section 3.2.2): go on with what is better than half.

    After an epoch, a trial is stopped if its best loss so far is worse than the median, over the complete trials, of
    the mean of their losses up to this epoch. Trials that were stopped or failed are not compared with, as in
    Optuna's MedianPruner; that one, however, takes the median of the losses at this epoch, not of means.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        epochs: int,
        seed: int,
        startup: Annotated[int, "complete trials before any is stopped"] = 5,
        warm_up: Annotated[int, "epochs of a trial after which it is not stopped yet"] = 1,
    ) -> None:
        self._objective, self._epochs = objective, epochs
        self._startup = require_at_least("startup", startup, 1)
        self._warm_up = require_at_least("warm_up", warm_up, 0)

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """That its best loss is worse than the median of the means."""
        epoch = max(trial.curve)
        complete = [t for t in others if t.outcome is not None and t.outcome.kind == "complete" and t.curve]
        if not self._warm_up < epoch < self._epochs or len(complete) < self._startup:
            return None
        means = [[loss for at, loss in other.curve.items() if at <= epoch] for other in complete]
        median = statistics.median(statistics.fmean(losses) for losses in means if losses)
        best = min(trial.curve.values())
        if best <= median:
            return None
        mean, found = describe_loss(self._objective, median), describe_loss(self._objective, best)
        name = self._objective.name
        return (
            f"median: the best {name} up to epoch {epoch}, {found}, is worse than {mean}, "
            f"the median of the means of {len(complete)} complete trials"
        )
