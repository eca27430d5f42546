"""How fast a candidate is trained on this machine, and how much fits into the seconds that it has."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from evaluators.training.epochs import Training

_TIMED = 0.25  # seconds of updates that say how long one takes


def time_updates(training: Training, train_epoch: Callable[[], None], batch: int) -> float:
    """Make a few updates, which belong to no epoch, and return the seconds of an example.

    The first is not counted: much is allocated and chosen then.

    Args:
        training: before its first epoch; its `epoch_size` is changed.
        train_epoch: trains an epoch of it.
        batch: examples of an update.
    """
    epochs, training.epochs = training.epochs, 1_000_000  # no schedule moves
    spent, updates, count = 0.0, 0, 1
    while spent < _TIMED:
        training.epoch_size = count * batch
        began = time.perf_counter()
        train_epoch()  # reads its last losses, and so has waited for the device
        if training.epochs_done > 1:
            spent, updates, count = spent + time.perf_counter() - began, updates + count, 2 * count
    training.epochs, training.epochs_done = epochs, 0
    return spent / (updates * batch)


@dataclass
class Timetable:
    """Says how many examples each epoch of a training shows, so that all of them take the seconds that it has.

    A candidate's epochs are `doubling`: each takes as long as all before it, so that after every one of them it is
    known what the candidate is worth after half of the time that it has had, as on the rungs of successive halving.
    Others take equally long.

    Attributes:
        seconds: of the whole training, scoring included.
        epochs: how many it has.
        batch: examples of an update.
        trained: seconds of training for an example.
        scored: seconds of scoring after an epoch.
    """

    seconds: float
    epochs: int
    batch: int
    trained: float
    scored: float
    doubling: bool

    def observe(self, trained: float, scored: float) -> None:
        """Go by what the last epoch took: seconds of training for an example, and of scoring."""
        self.trained, self.scored = trained, scored

    def fit_epoch(self, spent: float, done: int) -> int:
        """Return how many examples the next epoch shows, `done` epochs and `spent` seconds after the beginning.

        They are whole batches, and one at least.
        """
        if self.doubling:
            left = self.seconds * 2.0 ** (done + 1 - self.epochs) - spent
        else:
            left = (self.seconds - spent) / (self.epochs - done)
        return max(1, int((left - self.scored) / self.trained / self.batch)) * self.batch
