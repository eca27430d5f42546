"""What is done of a search's trials after it: pruning the best ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from nas.core.job import PruneChannels
from nas.core.pareto import pareto_front
from nas.core.trial import Proposal, Trial

log = logging.getLogger(__name__)

Ratios = tuple[float, ...]
"""Shares of a candidate's channels to be removed, rising: each version is made from the one before."""


def follow_ups(
    ratios: Ratios,
    asked: Mapping[int, Ratios],
    best: Callable[[], int | None],
    objectives: int,
    kept: Callable[[int], bool],
) -> Callable[[Sequence[Trial]], Proposal | None]:
    """What gives, of all trials begun, the next pruned version that is missing, or None; see nas.core.search.Search.

    Which they are follows from the trials alone, so a run that was interrupted misses none and has none twice.

    Args:
        ratios: for the best trial, or of several objectives for the members of the front.
        asked: for other trials, by their numbers.
        best: the number of the best trial, where there is one objective.
        kept: whether a trial's weights are there.
    """
    left_out: set[int] = set()

    def next_one(trials: Sequence[Trial]) -> Proposal | None:
        wanted = dict(asked)
        if ratios:
            for number in _best(trials, best, objectives):
                if not kept(number):
                    if number not in left_out:
                        log.warning("trial %d is not pruned: its weights were not kept", number)
                    left_out.add(number)
                    continue
                wanted[number] = tuple(sorted({*ratios, *wanted.get(number, ())}))
        done = {trial.number: trial for trial in trials}
        for number in sorted(wanted):
            proposal = _missing(done[number], wanted[number], trials) if number in done else None
            if proposal is not None:
                return proposal
        return None

    return next_one


def _best(trials: Sequence[Trial], best: Callable[[], int | None], objectives: int) -> list[int]:
    if objectives == 1:
        number = best()
        return [] if number is None else [number]
    own = [t for t in trials if t.outcome is not None and t.outcome.scored and t.job.counted]
    return [own[index].number for index in pareto_front([trial.losses for trial in own])]


def _missing(trial: Trial, ratios: Iterable[float], trials: Sequence[Trial]) -> Proposal | None:
    """The first ratio of which there is no version yet, from the last version before it."""
    number = trial.number
    pruned = [(v.job.ratio, v) for v in trials if isinstance(v.job, PruneChannels) and origin_of(v, trials) == number]
    versions = dict(pruned)
    before = trial
    for ratio in sorted(ratios):
        version = versions.get(ratio)
        if version is None:
            origin = f"pruned {percent(ratio)} of trial {number}"
            return Proposal(trial.genotype, (before.number,), origin, PruneChannels(ratio))
        if version.outcome is None or not version.outcome.scored:
            return None  # it runs, or there is nothing to go on from
        before = version
    return None


def percent(ratio: float) -> str:
    """``50%``, ``33.3%``."""
    return f"{100 * ratio:.3g}%"


def origin_of(trial: Trial, trials: Sequence[Trial]) -> int:
    """The number of the trial that a pruned one is a version of; its own where it is none."""
    by_number = {one.number: one for one in trials}
    while isinstance(trial.job, PruneChannels):
        trial = by_number[trial.proposal.parents[0]]
    return trial.number
