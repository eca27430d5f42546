"""Losses as rewards that do not depend on their scale."""

from __future__ import annotations

import bisect
import math


class Ranks:
    """All losses told so far, failures included, and where a loss stands among them."""

    def __init__(self) -> None:
        self._losses: list[float] = []

    def add(self, loss: float) -> None:
        """Take notice of a loss; infinite, or not a number, where the trial failed."""
        bisect.insort(self._losses, math.inf if math.isnan(loss) else loss)

    def rank(self, loss: float) -> float:
        """The part of the losses so far that are worse, equal ones counted as half: above 0 and below 1.

        The loss must be one that was added.
        """
        loss = math.inf if math.isnan(loss) else loss
        better = bisect.bisect_left(self._losses, loss)
        not_worse = bisect.bisect_right(self._losses, loss)
        return 1 - (better + not_worse) / 2 / len(self._losses)
