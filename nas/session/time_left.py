"""How much longer a run takes, its finals included: by the time that it has, or by what its trials took so far."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

from nas.core.durations import parse_duration
from nas.core.job import TrainFinalist, is_told
from nas.core.search import Search
from nas.core.trial import Trial
from nas.session.final_parts import count_part_seconds
from nas.session.finals import plan_seconds
from nas.session.plan import find_final_share
from nas.study.run import Run


class TimeLeft:
    """Estimates how many seconds a session still takes. It is told of every trial that ends.

    A time limit with finals is used to its end. Without one, candidates that are missing take as long as the median of
    those that have ended, spread over the workers, and finals the share that is theirs of the training. A promotion's
    time is shared out among the candidates.

    Args:
        total: how many candidates there will be.
        began: when the time limit began, by `now`.
    """

    def __init__(
        self, run: Run, search: Search, total: int, *, began: float, now: Callable[[], float] = time.monotonic
    ) -> None:
        config = run.config
        self._run, self._search, self._total, self._now = run, search, total, now
        self._end = None if config.time_limit is None else began + parse_duration(config.time_limit)
        self.finals = bool(config.finalists) and config.genotype is None
        self._share, self._workers = find_final_share(config), config.workers or 1
        self._last = now()
        self._begun: dict[int, float] = {}
        self._took: list[float] = []  # by candidates that have ended in this session
        self._further = 0.0  # by their promotions
        self._look()

    def add(self, trial: Trial) -> None:
        """Take notice of a trial that has ended just now."""
        now, running = self._now(), self._search.running
        took = now - self._begun.pop(trial.number, self._last)
        if trial.counted:
            self._took.append(took)
        elif is_told(trial.job) and not trial.refused:
            self._further += took
        for other in running:  # what was not there when the one before ended has begun then
            self._begun.setdefault(other.number, self._last)
        self._workers = max(self._workers, len(running) + 1)
        self._last = now
        self._look()

    def _look(self) -> None:
        """Look at the trials that have ended: once for each, as a display asks several times a second."""
        ended = self._search.ended
        self._done = sum(trial.counted for trial in ended)
        seconds = [trial.metrics["seconds"] for trial in ended if trial.counted and "seconds" in trial.metrics]
        self._trained = statistics.median(seconds) if seconds else 0.0
        self._for_finals = plan_seconds([trial for trial in ended if is_told(trial.job)], self._share)
        noted = self._run.study.notes.get("finals") if self.finals else None
        by_number = {trial.number: trial for trial in ended}
        self._finals_left: float | None = None
        if noted is not None:
            parts = [t for t in ended if isinstance(t.job, TrainFinalist) and t.job.after == noted["after"]]
            spent = sum(count_part_seconds(part, by_number) for part in parts)
            over = any(isinstance(part.job, TrainFinalist) and part.job.settles for part in parts)
            self._finals_left = 0.0 if over else noted["seconds"] - spent if parts else None

    def estimate(self) -> float | None:
        """How many seconds are left; None where nothing says it yet."""
        now = self._now()
        estimated = self._estimate(now)
        if self._end is None:
            return estimated
        left = max(0.0, self._end - now)
        return left if self.finals or estimated is None else min(left, estimated)

    def _estimate(self, now: float) -> float | None:
        if not self._took and not self._trained:
            return None
        each = statistics.median(self._took) + self._further / len(self._took) if self._took else self._trained
        running = self._search.running
        begun = [trial for trial in running if is_told(trial.job)]
        missing = 0 if self._search.closed else max(0, self._total - self._done - sum(t.job.counted for t in begun))
        of_those = [max(0.0, each - (now - self._begun.get(trial.number, self._last))) for trial in begun]
        left = max([(missing * each + sum(of_those)) / self._workers, *of_those])
        if not self.finals:
            return left
        if self._finals_left is None:
            finals = self._for_finals + (missing + len(begun)) * self._trained * self._share / (1 - self._share)
        else:
            finals = self._finals_left
        racing = any(isinstance(trial.job, TrainFinalist) for trial in running)
        return left + max(0.0, finals - (now - self._last if racing else 0.0))
