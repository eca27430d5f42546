"""How fast a candidate is trained on this machine, and how much fits into the seconds that it has."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

from evaluators.training.epochs import Training
from nas.core.errors import UserError
from nas.core.trial import Trial

_TIMED = 0.25  # seconds of updates that say how long one takes


def time_updates(
    training: Training, train_epoch: Callable[[], None], batch: int, repeat: int | None = None
) -> tuple[float, int]:
    """Make a few updates, which belong to no epoch; return the seconds of an example, and how many updates these were.

    The first is not timed: much is allocated and chosen then.

    Args:
        training: before its first epoch; its `epoch_size` is changed.
        train_epoch: trains an epoch of it.
        batch: examples of an update.
        repeat: how many an earlier call has made, to make the same again; None to make them for a quarter of a second.
    """
    epochs, training.epochs = training.epochs, 1_000_000  # no schedule moves
    spent, updates, count = 0.0, 0, 1
    while spent < _TIMED if repeat is None else updates + 1 < repeat:
        training.epoch_size = count * batch
        began = time.perf_counter()
        train_epoch()  # reads its last losses, and so has waited for the device
        if training.epochs_done > 1:
            spent, updates, count = spent + time.perf_counter() - began, updates + count, 2 * count
    training.epochs, training.epochs_done = epochs, 0
    return spent / (updates * batch), updates + 1


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


class RecordedTimetable:
    """The sizes of the epochs of a trial that was recorded, in place of a timetable that goes by the clock.

    Args:
        trial: with what was measured after every epoch, ``examples`` so far among it.
        before: examples that had been shown before its first epoch.

    Raises:
        UserError: how many examples its epochs showed is not recorded.
    """

    def __init__(self, trial: Trial, before: int) -> None:
        self._trial, shown = trial, [m.metrics.get("examples") for m in trial.measurements]
        counts = [before, *(int(count) for count in shown if count is not None)]
        if len(counts) <= len(shown):
            raise _cannot_repeat(trial, "its record does not say how many examples each epoch showed")
        self._sizes = [after - earlier for earlier, after in itertools.pairwise(counts)]

    def observe(self, trained: float, scored: float) -> None:
        """Go on by the record, whatever the last epoch took."""

    def fit_epoch(self, spent: float, done: int) -> int:
        """Return how many examples the next epoch showed, `done` epochs after the beginning.

        Raises:
            UserError: the trial failed in that epoch, before it was recorded.
        """
        if done >= len(self._sizes):
            raise _cannot_repeat(self._trial, f"how long its epoch {done + 1} was, in which it failed, is not recorded")
        return self._sizes[done]


def find_timing_updates(trial: Trial) -> int:
    """Find how many updates timed a recorded candidate before its first epoch.

    Raises:
        UserError: that is not recorded.
    """
    updates = trial.measurements[0].timing_updates if trial.measurements else 0
    if not updates:
        raise _cannot_repeat(trial, "how many updates timed it before its first epoch is not recorded")
    return updates


def _cannot_repeat(trial: Trial, why: str) -> UserError:
    fits = "trials whose length was not chosen by the clock, or whose record says how long they were"
    return UserError("TRIAL", trial.number, fits, why=f"cannot be repeated: {why}")
