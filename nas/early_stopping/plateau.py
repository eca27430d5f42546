"""Stopping what no longer improves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

from nas.core.errors import UserError
from nas.core.trial import Objective, Trial
from nas.early_stopping.losses import describe_loss, led_nowhere
from nas.early_stopping.option_checks import require_at_least


class Plateau:
    """Patience (Goodfellow, Bengio & Courville 2016, algorithm 7.1): stop what has not improved for K epochs.

    The best trial so far is not stopped: a stopped one has no weights and cannot win.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        epochs: int,
        seed: int,
        patience: Annotated[int, "K: epochs without improvement"] = 3,
        min_delta: Annotated[float, "improvements by a smaller share of the best loss so far do not count"] = 0.01,
    ) -> None:
        self._objective, self._epochs = objective, epochs
        self._patience = require_at_least("patience", patience, 1)
        if not 0 <= min_delta < 1:
            raise UserError("--stop-set min_delta", min_delta, "0 to less than 1")
        self._min_delta = min_delta

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """That it stays where it is, while another is better."""
        epoch = max(trial.curve)
        level, since = math.inf, 0
        for at, loss in trial.curve.items():
            # an infinite level has no share
            if loss < (level - self._min_delta * abs(level) if math.isfinite(level) else level):
                level, since = loss, at
        if epoch - since < self._patience or epoch >= self._epochs:
            return None
        least = min((loss for t in others if not led_nowhere(t) for loss in t.curve.values()), default=math.inf)
        if min(trial.curve.values()) <= least:
            return None
        return (
            f"plateau: {self._objective.name} has not improved by {self._min_delta:.3g} of itself since epoch {since} "
            f"({describe_loss(self._objective, level)}), and the best so far is {describe_loss(self._objective, least)}"
        )
