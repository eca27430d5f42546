"""One worker, in this process."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace

from nas.core.errors import CandidateFailure, Diverged, UserError
from nas.core.evaluator import Evaluator
from nas.core.trial import Measurement, Outcome, OutcomeKind, Trial
from nas.loop import Search

log = logging.getLogger(__name__)


class Inline:
    """Evaluates one trial after the other in this process: no server, no start-up cost."""

    def run(self, search: Search, evaluator: Evaluator, progress: Callable[[Trial], None]) -> None:
        """Turn the search until it is over; `progress` is shown every trial that ended.

        Raises:
            UserError: the evaluator cannot do what the user asked for, whatever the candidate.
            KeyboardInterrupt: the user has had enough; the trial that ran is run again on resuming.
        """
        while (trial := search.next()) is not None:
            progress(search.end(trial, _outcome(search, evaluator, trial)))


def _outcome(search: Search, evaluator: Evaluator, trial: Trial) -> Outcome:
    measurements = evaluator.evaluate(trial)
    try:
        while True:
            # only what the candidate does is its outcome: a fault of the record's, a full disk, ends the search
            try:
                measurement = _finite(next(measurements))
            except StopIteration:
                return Outcome("complete")
            except UserError:
                raise
            except Exception as error:  # noqa: BLE001 - recorded as the outcome, with its reason
                return _logged(trial, error)
            if search.report(trial, measurement) == "stop":
                return Outcome("stopped", f"stopped early after epoch {measurement.epoch}")
    finally:
        close = getattr(measurements, "close", None)
        if close is not None:
            close()


def _logged(trial: Trial, error: Exception) -> Outcome:
    outcome = outcome_of(error)
    unexpected = outcome.kind == "failed" and not isinstance(error, CandidateFailure)
    log.debug("trial %d: %s", trial.number, outcome.reason, exc_info=error if unexpected else None)
    return outcome


def outcome_of(error: Exception) -> Outcome:
    """What an exception of an evaluation means for its trial."""
    kind: OutcomeKind = "failed"
    if isinstance(error, CandidateFailure):
        kind = error.kind
    elif isinstance(error, MemoryError):
        kind = "out_of_memory"
    reason = str(error) if isinstance(error, CandidateFailure) else f"{type(error).__name__}: {error}"
    text = " ".join(reason.split())[:500].encode(errors="replace").decode()  # file names may hold surrogates
    return Outcome(kind, text or type(error).__name__)


def _finite(measurement: Measurement) -> Measurement:
    """The measurement with its metrics as plain floats, unless one is not a finite number.

    Raises:
        Diverged: naming the metric.
    """
    metrics = {name: float(value) for name, value in measurement.metrics.items()}
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value} after epoch {measurement.epoch}")
    return replace(measurement, metrics=metrics)
