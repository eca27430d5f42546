"""Attempts to evaluate trials by workers that may die: which trial is whose, what takes too long, what is retried."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from nas.core.search import Search
from nas.core.trial import Measurement, Outcome, Trial
from nas.executors.evaluation import EvaluationEnd, describe_stop, log_failure


@dataclass
class Attempt:
    """One evaluation of a trial by a worker.

    Attributes:
        since: when the worker began; None while it is being started.
        kill: ends the worker at once.
    """

    trial: Trial
    since: float | None = None
    kill: Callable[[], None] | None = None
    overdue: bool = False


class Attempts:
    """Hands the search's trials to workers, and tells the search what became of them, each trial once.

    All methods are called by one thread, by that of the search. Nothing of what they raise is the candidate's.

    Args:
        workers: how many trials run at once.
        retries: how often a trial whose worker died is evaluated again, from its beginning and with its own seed.
        timeout: the most seconds that one evaluation may take; a worker that takes longer is killed.
    """

    def __init__(
        self,
        search: Search,
        progress: Callable[[Trial], None],
        *,
        workers: int,
        retries: int,
        timeout: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._search, self._progress, self._clock = search, progress, clock
        self._workers, self._retries, self._timeout = workers, retries, timeout
        self._running: dict[str, Attempt] = {}
        self._to_retry: deque[Trial] = deque()
        self._died: dict[int, int] = {}  # trial -> how many workers it has cost
        self._begun = False  # any worker with any attempt
        self._waiting = False  # the search had nothing to begin, and nothing has ended since

    @property
    def over(self) -> bool:
        """Whether nothing runs and the search has nothing more to begin."""
        return self._waiting and not self._running and not self._to_retry

    def next(self, key: str) -> Trial | None:
        """The trial that attempt `key` is of; None to wait for one that runs, or for ever if it is over."""
        if len(self._running) >= self._workers:
            return None
        if self._to_retry:
            trial: Trial | None = self._to_retry.popleft()
        elif self._waiting:  # a strategy that waits need not be asked ten times a second
            return None
        else:
            trial = self._search.next()
        if trial is None:
            self._waiting = True
            return None
        self._running[key] = Attempt(trial)
        return trial

    def note_begin(self, key: str, kill: Callable[[], None]) -> None:
        """Note that a worker has begun with the attempt; `kill` ends the worker."""
        if not self._begun:
            self._begun = True
            self._search.start_clock()
        attempt = self._running[key]
        attempt.since, attempt.kill = self._clock(), kill

    def report(self, key: str, measurement: Measurement) -> bool:
        """Report a measurement to the search; returns whether to go on."""
        attempt = self._running[key]
        if attempt.overdue or self._search.report(attempt.trial, measurement) == "continue":
            return True
        self._end(key, describe_stop(measurement))
        return False

    def end(self, key: str, ended: EvaluationEnd) -> bool:
        """End the trial whose evaluation is over; returns whether to wait for the end of a worker that was killed."""
        attempt = self._running[key]
        if attempt.overdue:
            return True
        log_failure(attempt.trial, ended)
        self._end(key, ended.outcome)
        return False

    def handle_death(self, key: str, outcome: Outcome) -> None:
        """Retry the trial of a worker that died, or end it with `outcome` where it was retried often enough."""
        attempt = self._running[key]
        number = attempt.trial.number
        if attempt.overdue:
            reason = f"took longer than --trial-timeout allows, {self._timeout:g} seconds"
            self._end(key, Outcome("failed", reason))
            return
        self._died[number] = self._died.get(number, 0) + 1
        if self._died[number] <= self._retries:
            del self._running[key]
            self._search.retry(attempt.trial, outcome.reason)
            self._to_retry.append(attempt.trial)
            return
        times = f" ({self._died[number]} times)" if self._retries else ""
        self._end(key, Outcome(outcome.kind, outcome.reason + times))

    def watch(self) -> None:
        """Kill what takes too long. To be called again and again."""
        if self._timeout is None:
            return
        now = self._clock()
        for attempt in self._running.values():
            if attempt.since is None or attempt.kill is None or attempt.overdue:
                continue
            if now - attempt.since > self._timeout:
                attempt.overdue = True
                attempt.kill()

    def kill_all(self) -> None:
        """Kill every worker; their trials do not end, and are run again on resuming."""
        for attempt in self._running.values():
            if attempt.kill is not None:
                attempt.kill()

    def _end(self, key: str, outcome: Outcome) -> None:
        trial = self._running.pop(key).trial
        self._waiting = False
        self._progress(self._search.end(trial, outcome))
