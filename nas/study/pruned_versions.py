"""Pruned versions of trials: which of them a run still misses, and which trial each is a version of."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from nas.core.job import PruneChannels, is_told
from nas.core.pareto import pareto_front
from nas.core.search import Search
from nas.core.trial import Proposal, Trial

log = logging.getLogger(__name__)

Ratios = tuple[float, ...]
"""Shares of a candidate's channels to be removed, rising: each version is made from the one before."""


def make_follow_up(
    ratios: Ratios,
    asked: Mapping[int, Ratios],
    kept: Callable[[int], bool],
    best: Callable[[Search], Trial | None] = lambda search: search.best,
) -> Callable[[Search], Proposal | None]:
    """Make the hook that proposes the next pruned version that a search misses; see nas.core.search.Hooks.

    Which versions are missing follows from the trials alone, so a run that was interrupted makes each of them once.

    Args:
        ratios: for the best trial, or of several objectives for the members of the front.
        asked: for other trials, by their numbers.
        kept: whether a trial's weights are there.
        best: gives the best trial; by default the one that the strategy recommends.
    """
    left_out: set[int] = set()

    def propose_version(search: Search) -> Proposal | None:
        wanted, trials = dict(asked), search.begun
        if ratios:
            for number in _list_best(search, best(search)):
                if not kept(number):
                    if number not in left_out:
                        log.warning("trial %d is not pruned: its weights were not kept", number)
                    left_out.add(number)
                    continue
                wanted[number] = tuple(sorted({*ratios, *wanted.get(number, ())}))
        done = {trial.number: trial for trial in trials}
        for number in sorted(wanted):
            proposal = _propose_missing(done[number], wanted[number], trials) if number in done else None
            if proposal is not None:
                return proposal
        return None

    return propose_version


def _list_best(search: Search, best: Trial | None) -> list[int]:
    """The number of the best trial, or of several objectives those of the front."""
    if len(search.objectives) == 1:
        return [] if best is None else [best.number]
    own = [t for t in search.begun if t.outcome is not None and t.outcome.scored and is_told(t.job) and not t.reached]
    return [own[index].number for index in pareto_front([trial.losses for trial in own])]


def _propose_missing(trial: Trial, ratios: Iterable[float], trials: Sequence[Trial]) -> Proposal | None:
    """Propose the version of the least ratio that there is none of yet, made from the version before it."""
    number = trial.number
    pruned = [
        (v.job.ratio, v) for v in trials if isinstance(v.job, PruneChannels) and find_unpruned(v, trials) == number
    ]
    versions = dict(pruned)
    before = trial
    for ratio in sorted(ratios):
        version = versions.get(ratio)
        if version is None:
            origin = f"pruned {format_percent(ratio)} of trial {number}"
            return Proposal(trial.genotype, (before.number,), origin, PruneChannels(ratio))
        if version.outcome is None or not version.outcome.scored:
            return None  # it runs, or there is nothing to go on from
        before = version
    return None


def format_percent(ratio: float) -> str:
    """Format a share as ``50%`` or ``33.3%``."""
    return f"{100 * ratio:.3g}%"


def find_unpruned(trial: Trial, trials: Sequence[Trial]) -> int:
    """Find the number of the trial that a pruned one is a version of; its own number where it is not pruned."""
    by_number = {one.number: one for one in trials}
    while isinstance(trial.job, PruneChannels):
        trial = by_number[trial.proposal.parents[0]]
    return trial.number
