"""No early stopping: every candidate is trained to its last epoch."""

from __future__ import annotations

from collections.abc import Sequence

from nas.core.trial import Objective, Trial


class Never:
    """Train every candidate to its last epoch."""

    def __init__(self, objective: Objective, *, epochs: int, seed: int) -> None: ...

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """There is none."""
        return None
