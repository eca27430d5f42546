"""Rungs: the epochs at which candidates are compared and paused, and who has come to which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from nas.core.errors import UserError
from nas.core.job import TrainRung
from nas.core.pareto import ranking
from nas.core.trial import Trial

_USUAL_RUNGS = 3
Rung = Mapping[int, Trial]
"""The trials that came to a rung, or are on their way to it, by the number of their candidate."""


def list_rungs(first: int, reduction: int, epochs: int) -> tuple[int, ...]:
    """List ..., R / eta^2, R / eta, R in whole epochs, of which the least is not under `first`."""
    found = []
    parts = 1
    while epochs / parts >= first:
        found.append(round(epochs / parts))
        parts *= reduction
    return tuple(reversed(found))


def choose_rungs(rule: str, first: int | None, reduction: int, epochs: int, trials: int) -> tuple[int, ...]:
    """Choose the rungs, two or more: by default three, or as many as so many candidates get to.

    Raises:
        UserError: there are not two, or an option does not fit.
    """
    if reduction < 2:
        raise UserError("--set reduction", reduction, "2 or more")
    if epochs < reduction:
        why = f"--promotion {rule} with a reduction of {reduction} needs two rungs"
        raise UserError("--epochs", epochs, f"{reduction} or more", why=why)
    if first is None:
        return list_rungs(1, reduction, epochs)[-(_USUAL_RUNGS if trials >= reduction**2 else 2) :]
    if not 1 <= first <= epochs // reduction:
        raise UserError("--set first", first, f"1 to {epochs // reduction}, as there are {epochs} epochs")
    return list_rungs(first, reduction, epochs)


def begin_training(bracket: int, rungs: Sequence[int]) -> TrainRung:
    """The part of a training before the first rung."""
    return TrainRung(bracket, 0, len(rungs), 0, rungs[0], rungs[-1])


def continue_training(trial: Trial, rungs: Sequence[int]) -> TrainRung:
    """The part of a training that follows on the rung that a trial has come to."""
    job = trial.job
    assert isinstance(job, TrainRung)
    rung = job.rung + 1
    return replace(
        job,
        rung=rung,
        before=rungs[rung - 1],
        epochs=rungs[rung] - rungs[rung - 1],
        candidate=trial.candidate,
        continues=trial.number,
    )


def group_by_rung(trials: Sequence[Trial]) -> dict[int, list[Rung]]:
    """The rungs of each bracket that trials have begun in, the first rung first."""
    brackets: dict[int, list[dict[int, Trial]]] = {}
    for trial in trials:
        if isinstance(job := trial.job, TrainRung):
            rungs = brackets.setdefault(job.bracket, [{} for _ in range(job.rungs)])
            rungs[job.rung][trial.candidate] = trial
    return {bracket: list(rungs) for bracket, rungs in sorted(brackets.items())}


def rank_ended(rung: Rung) -> list[Trial]:
    """The trials that have ended at a rung, the best first; those that failed on their way to it are the last."""
    ended = sorted((trial for trial in rung.values() if trial.outcome is not None), key=lambda trial: trial.number)
    return [ended[index] for index in ranking([trial.losses for trial in ended])]


def list_waiting(ranked: Sequence[Trial], above: Rung, quota: int) -> list[Trial]:
    """Those of the best `quota` of a rung that have a score and have not been promoted to the rung `above`."""
    return [
        trial
        for trial in ranked[:quota]
        if trial.outcome is not None and trial.outcome.scored and trial.candidate not in above
    ]


def find_promotable(rungs: Sequence[Rung], reduction: int, expected: int) -> set[int]:
    """The numbers of the trials of a bracket that may still be promoted.

    A trial's rank at its rung only becomes worse. So who is not among the best floor(n / eta) of those that have come
    so far is out, where n is how many may come to the rung at most.

    Args:
        expected: how many candidates there may be in the bracket at most.
    """
    found: set[int] = set()
    for rung, above in pairwise(rungs):
        ranked = rank_ended(rung)
        waiting = list_waiting(ranked, above, expected // reduction)
        found |= {trial.number for trial in waiting}
        expected = len(above) + len(waiting) + max(0, expected - len(ranked))
    return found
