"""Stopping what is behind the best so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from nas.core.errors import UserError
from nas.core.trial import Objective, Trial
from nas.early_stopping.losses import describe_loss
from nas.early_stopping.option_checks import require_at_least


class Incumbent:
    """Go on only with what is about as good as the incumbent, the best complete trial, was after as many epochs.

    As in F-Race (Birattari et al. 2002) candidates race against the best so far; the evidence here is not a test but a
    tolerance, which shrinks to nothing until the last epoch, as early losses say less. Where candidates have a time,
    each epoch is as long as all before: what begins fast and ends slowly is caught at the next.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        epochs: int,
        seed: int,
        tolerance: Annotated[float, "by what share a loss may be worse after the first epoch"] = 0.2,
        first: Annotated[int | None, "the first epoch after which a trial may be stopped"] = None,
    ) -> None:
        self._objective, self._epochs = objective, epochs
        self._tolerance = tolerance
        if not 0 <= tolerance < math.inf:
            raise UserError("--stop-set tolerance", tolerance, "0 or more")
        self._first = require_at_least("first", 1 if first is None else first, 1)

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """That its loss is too far behind the incumbent's."""
        epoch = max(trial.curve)
        complete = [t for t in others if t.outcome is not None and t.outcome.kind == "complete" and epoch in t.curve]
        if not complete or not self._first <= epoch < self._epochs:
            return None
        best = min(complete, key=lambda one: (one.losses, one.number))
        allowed = self._tolerance * (self._epochs - epoch) / max(1, self._epochs - 1)
        then, now = best.curve[epoch], trial.curve[epoch]
        if now - then <= allowed * abs(then):
            return None
        found, reached = (describe_loss(self._objective, loss) for loss in (now, then))
        name = self._objective.name
        return (
            f"incumbent: {name} {found} after epoch {epoch}, where trial {best.number}, the best so far, had {reached}"
        )
