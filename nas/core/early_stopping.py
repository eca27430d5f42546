"""Early stopping: which trials are not worth the rest of their epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nas.core.trial import Trial

UNLEARNED = ("parameters", "multiply_adds", "latency_ms", "seconds", "peak_memory_mb", "kept_epoch", "real_fid")
"""Metrics that training does not improve: their curves say nothing of where a trial will end."""


class EarlyStopping(Protocol):
    """Decides, after every epoch of a trial, from the learning curves alone.

    A rule is constructed as ``Class(objective, epochs=..., seed=..., **options)``: the first objective, whose losses
    the curves are, how many epochs a trial is asked for, and the run's seed. It remembers nothing from one decision
    to the next, so that a run that is resumed decides as one that was never interrupted.
    """

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """Why to stop a trial that has just been measured, in words that become its outcome's; None to go on.

        Args:
            trial: running, with its curve up to now, one epoch or more.
            others: every other candidate of the run, ended (failed and stopped ones, too) or running, in any order.
                A curve may be empty.
        """
