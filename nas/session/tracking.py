"""A run is told to the trackers that the user asked for."""

from __future__ import annotations

import logging
from collections.abc import Callable

from nas.config import RunConfig
from nas.core.space import Traceable, Value
from nas.core.trial import Measurement, Trial
from nas.study.run import Candidate, Run
from nas.trackers.tracker import Tracker, TrialReport, make_tracker

log = logging.getLogger(__name__)


class Tracking:
    """Tells several trackers of a run. One that fails is left out from then on, with a warning: no search ends by it.

    Raises:
        UserError: a tracker is unknown, or what it needs is not installed.
    """

    def __init__(self, config: RunConfig, name: str) -> None:
        self._trackers = {text: make_tracker(text, name) for text in config.track}

    def log_trial(self, run: Run, trial: Trial) -> None:
        """Tell of a trial that has ended."""
        if self._trackers:
            report = _report_trial(run, trial)
            self._tell(lambda tracker: tracker.log_trial(report))

    def log_epoch(self, trial: Trial, measurement: Measurement) -> None:
        """Tell of an epoch of a training in full."""
        self._tell(lambda tracker: tracker.log_epoch(trial.number, measurement))

    def close(self, run: Run) -> None:
        """Tell of the best on the test part, and end."""
        if self._trackers:
            metrics = run.tested if run.ranked() else {}
            self._tell(lambda tracker: tracker.close(metrics))

    def _tell(self, act: Callable[[Tracker], None]) -> None:
        for text, tracker in list(self._trackers.items()):
            try:
                act(tracker)
            except Exception as error:  # noqa: BLE001 - a service that is away must not cost a search
                log.warning("--track %s told no more: %s: %s", text, type(error).__name__, error)
                del self._trackers[text]


def _report_trial(run: Run, trial: Trial) -> TrialReport:
    outcome = trial.outcome
    assert outcome is not None
    decisions: dict[str, Value] = {}
    if isinstance(run.space, Traceable):
        decisions = {one.choice.site: one.value for one in run.space.trace(trial.genotype)}
    return TrialReport(
        trial.number,
        Candidate(run, trial).description,
        f"{outcome.kind}: {outcome.reason}" if outcome.reason else outcome.kind,
        decisions,
        trial.measurements,
        run.study.picture(trial.number),
    )
