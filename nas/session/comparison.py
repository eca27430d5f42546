"""Whether a search has paid: its winner beside the usual genotype, and beside what is simpler than any model."""

from __future__ import annotations

from typing import Any

from nas.core.genotype import Genotype
from nas.core.job import Train, TrainFinalist, TrainRung
from nas.core.trial import Trial
from nas.study.run import Candidate, Run


def compare_best(run: Run, best: Candidate) -> dict[str, Any]:
    """Compare the winner of a search with what was to be beaten; what a study notes of it.

    Returns: ``number`` of the winner; ``usual``, the trial of the usual genotype that was trained longest, its
    ``seconds`` and its ``test`` metrics, or None where it has won itself or left no weights; ``baselines`` with their
    metrics on the test part; where the winner was regularised in the finals ``changed``, each such decision as it was
    and is; and where both were explored, in units of the usual genotype's loss there, ``found``, the winner's own loss
    there, and ``trained``, its loss now.
    """
    note: dict[str, Any] = {"number": best.number, "usual": None, "baselines": {}}
    note["baselines"] = {k: dict(v) for k, v in run.parts.evaluator.baselines(best.genotype).items()}
    usual = run.parts.usual
    own = [trial for trial in run.trials if trial.genotype == usual]
    kept = [trial for trial in own if _is_complete(trial) and run.study.weights_path(trial.number).is_file()]
    if best.genotype != usual and kept:
        longest = max(kept, key=lambda trial: (isinstance(trial.job, TrainFinalist), trial.metrics.get("seconds", 0.0)))
        note["usual"] = {
            "number": longest.number,
            "seconds": longest.metrics.get("seconds"),
            "test": run.candidate(longest.number).test(),
        }
    candidate = _find_candidate(run, best.trial)
    if changes := candidate.list_changes(best.genotype):
        note["changed"] = {site: list(values) for site, values in changes.items()}
    there, here = _explored(own), _explored([t for t in run.trials if t.genotype == candidate])
    if there is not None and here is not None and there.losses[0] > 0 and run.objective.direction == "minimize":
        note["found"] = here.losses[0] / there.losses[0]
        note["trained"] = best.trial.losses[0] / there.losses[0]
    return note


def _find_candidate(run: Run, winner: Trial) -> Genotype:
    """The genotype with which a winner was explored: finals may have regularised it."""
    if not isinstance(winner.job, TrainFinalist):
        return winner.genotype
    return next(trial.genotype for trial in run.trials if trial.number == winner.job.candidate)


def _explored(trials: list[Trial]) -> Trial | None:
    """The first of the trials that was trained as a candidate of the search: for as long as all, or to a first rung."""
    plain = (trial for trial in trials if _is_complete(trial) and isinstance(trial.job, Train))
    first = (t for t in trials if isinstance(t.job, TrainRung) and t.job.counted and (t.reached or _is_complete(t)))
    return next(plain, None) or next(first, None)


def _is_complete(trial: Trial) -> bool:
    return trial.outcome is not None and trial.outcome.kind == "complete"
