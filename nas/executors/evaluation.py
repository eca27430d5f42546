"""The steps of an evaluation, and what an exception means for its trial: the same for every executor."""

from __future__ import annotations

import logging
import math
import traceback
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from nas.core.errors import CandidateFailure, Diverged, UserError
from nas.core.evaluator import Evaluator
from nas.core.trial import Measurement, Outcome, OutcomeKind, Trial

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EvaluationEnd:
    """An evaluation is over.

    Attributes:
        trace: the traceback of an exception that nobody foresaw.
    """

    outcome: Outcome
    trace: str = ""


def begin_evaluation(evaluator: Evaluator, trial: Trial) -> Generator[Measurement, None, None]:
    """Yield the measurements of a trial; the evaluator is called with the first, when what it raises is caught."""
    yield from evaluator.evaluate(trial)


def advance(measurements: Iterator[Measurement]) -> Measurement | EvaluationEnd:
    """Return the next measurement, its metrics plain finite floats, or the end of the evaluation.

    Raises:
        UserError: what the user asked for cannot be done, whatever the candidate.
    """
    try:
        return _check_finite(next(measurements))
    except StopIteration:
        return EvaluationEnd(Outcome("complete"))
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001 - recorded as the outcome, with its reason
        outcome = classify_error(error)
        foreseen = outcome.kind != "failed" or isinstance(error, CandidateFailure)
        return EvaluationEnd(outcome, "" if foreseen else "".join(traceback.format_exception(error)))


def log_failure(trial: Trial, ended: EvaluationEnd) -> None:
    """Log why a candidate failed, with a traceback where nobody foresaw it."""
    if ended.outcome.failed:
        log.debug("trial %d: %s", trial.number, "\n".join(filter(None, (ended.outcome.reason, ended.trace))))


def describe_stop(measurement: Measurement) -> Outcome:
    """Describe how a trial ends that the search has stopped."""
    return Outcome("stopped", f"stopped early after epoch {measurement.epoch}")


def classify_error(error: Exception) -> Outcome:
    """Classify an exception of an evaluation as an outcome of its trial."""
    kind: OutcomeKind = "failed"
    if isinstance(error, CandidateFailure):
        kind = error.kind
    elif isinstance(error, MemoryError):
        kind = "out_of_memory"
    reason = str(error) if isinstance(error, CandidateFailure) else f"{type(error).__name__}: {error}"
    text = " ".join(reason.split())[:500].encode(errors="replace").decode()  # file names may hold surrogates
    return Outcome(kind, text or type(error).__name__)


def _check_finite(measurement: Measurement) -> Measurement:
    """The measurement with its metrics as plain floats, unless one is not a finite number.

    Raises:
        Diverged: naming the metric.
    """
    metrics = {name: float(value) for name, value in measurement.metrics.items()}
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value} after epoch {measurement.epoch}")
    return replace(measurement, metrics=metrics)
