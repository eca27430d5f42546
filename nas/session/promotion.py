"""Promotion in a run: who goes on from which checkpoint, and which checkpoints nobody goes on from any more."""

from __future__ import annotations

from collections.abc import Callable

from nas.core.evaluator import CHECKPOINT
from nas.core.job import TrainRung
from nas.core.promotion import Promotion
from nas.core.search import Search
from nas.core.trial import Proposal
from nas.study.study import Study


def make_promoter(rule: Promotion | None, study: Study) -> Callable[[Search], Proposal | None]:
    """Make the hook that proposes who is promoted; see nas.core.search.Hooks.

    That follows from the trials and from the checkpoints that are there, so a run that was interrupted goes on with
    the same. Where a run is given more trials than it was begun with, who has been left already is passed over.
    """

    def propose_promotion(search: Search) -> Proposal | None:
        if rule is None:
            return None
        trial = rule.promote(
            search.begun, closed=search.closed, able=lambda number: study.weights_path(number, CHECKPOINT).is_file()
        )
        if trial is None:
            return None
        job = rule.advance(trial)
        origin = f"trial {trial.candidate} promoted to rung {job.rung + 1} of {job.rungs}"
        return Proposal(trial.genotype, (trial.number,), origin, job)

    return propose_promotion


def forget_paused(rule: Promotion, search: Search, study: Study) -> None:
    """Remove the checkpoints of candidates that can no longer be promoted."""
    needed = rule.find_needed(search.begun, search.limits.trials)
    for trial in search.running:
        if isinstance(trial.job, TrainRung) and trial.job.continues is not None:
            needed.add(trial.job.continues)
    for path in study.checkpoints():
        if int(path.stem) not in needed:
            path.unlink()
