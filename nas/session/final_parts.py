"""The parts of a search's finals: who is trained next, and for how long.

Successive halving by going on (Jamieson & Talwalkar 2016): every finalist is trained for a while, the weaker half is
left, the others go on from where they were, and the last one takes the rest of the time. Which part comes next follows
from the trials alone, so a run that was interrupted goes on with the part that is missing.

A winner that learns its data by heart is tried with more regularisation, beside itself as it is, and goes on as what
was best: once after the race, and once on its way. Weights stay, as in population based training (Jaderberg et al.
2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

from nas.core.genotype import Genotype
from nas.core.job import Train, TrainFinalist
from nas.core.metric import OVERFITTING
from nas.core.trial import Proposal, Trial

Regularise = Callable[[Genotype], Sequence[Genotype]]
"""Gives genotypes with the same weights and more regularisation; see nas.core.space.Regularisable."""


def keep_as_it_is(genotype: Genotype) -> Sequence[Genotype]:
    """Give nothing: there is no more regularisation."""
    return ()


RACING = 0.3
"""The share of the finals' time in which the finalists race; the rest is the winner's, who then has had most of it.

Where candidates have a time it is no more than the share of that which is for exploring.
"""
_EPOCHS_OF_WINNER = 16  # in the time after the race
_LEAST_LAST = 0.3  # of the finals' time that is the winner's, however long the parts before took
_LEAST_LEFT = 0.1  # of it that is the winner's even where that is more than there is left
_OVERFITTING = 0.05  # see nas.core.metric.OVERFITTING: from there on more regularisation is tried
_TRIED = 0.03  # the share of the finals' time for which each kind of it is tried
_FIRST = 0.3  # the share of the finals' time after which the winner is looked at once more


@dataclass(frozen=True)
class Finals:
    """Who is in the finals, and for how long.

    Attributes:
        after: how many trials the strategy had proposed.
        seconds: of training, of all finalists together.
        candidates: the numbers of the trials whose genotypes are trained, the best first.
        timed: whether candidates were given a time.
        racing: the share of their time in which the finalists race.
        regularises: whether the winner may be regularised as it goes on; finals that began earlier do not.
    """

    after: int
    seconds: float
    candidates: tuple[int, ...]
    timed: bool = False
    racing: float = RACING
    regularises: bool = False

    @property
    def sizes(self) -> list[int]:
        """How many finalists there are in each stage: half of those before, rounded up, down to one."""
        sizes = [len(self.candidates)]
        while sizes[-1] > 1:
            sizes.append(math.ceil(sizes[-1] / 2))
        return sizes

    def note(self) -> dict[str, object]:
        """What a study remembers of them."""
        return {**asdict(self), "candidates": list(self.candidates)}


def next_part(
    finals: Finals,
    trials: Sequence[Trial],
    objective: str = "",
    goes_on: Callable[[int], bool] = lambda number: False,
    regularise: Regularise = keep_as_it_is,
    left: float = math.inf,
) -> Proposal | None:
    """The part of a finalist's training that comes next; None where one must end before, or the finals are over.

    Args:
        objective: the metric by which the best epoch of each is kept; empty for the evaluator's first.
        goes_on: whether a candidate of this number has left a checkpoint to go on from.
        regularise: what a winner that learns its data by heart is tried as.
        left: seconds until the time is up: not all that finals take is training.
    """
    parts = [t for t in trials if isinstance(t.job, TrainFinalist) and t.job.after == finals.after]
    return _Course(finals, {t.number: t for t in trials}, parts, objective, goes_on, left).find_next(regularise)


@dataclass(frozen=True)
class _Course:
    """How far finals have come.

    Attributes:
        trials: all of the search, by number.
        parts: those of these finals.
        objective, goes_on, left: see `next_part`.
    """

    finals: Finals
    trials: Mapping[int, Trial]
    parts: Sequence[Trial]
    objective: str
    goes_on: Callable[[int], bool]
    left: float

    def find_next(self, regularise: Regularise) -> Proposal | None:
        """The part that comes next, first of the race, then of its winner; see `next_part`."""
        left, sizes = list(self.finals.candidates), self.finals.sizes
        if not left:  # every candidate since the finals before was stopped
            return None
        latest: dict[int, Trial] = {}  # part of each candidate
        for stage, size in enumerate(sizes[:-1]):
            left = left[:size]
            made = [self._find(stage, one, self.trials[one].genotype) for one in left]
            for one, trial in zip(left, made, strict=True):
                if trial is None:
                    return self._propose_race(one, latest.get(one), stage)
            ranked = _rank(made)
            if not ranked:  # some have not ended, or none is alive
                return None
            latest = {_candidate(trial): trial for trial in ranked}
            left = list(latest)
        return self._find_next_of_winner(left[0], latest.get(left[0]), len(sizes) - 1, regularise)

    def _find_next_of_winner(
        self, winner: int, before: Trial | None, stage: int, regularise: Regularise
    ) -> Proposal | None:
        genotype, count = self.trials[winner].genotype, len(self.finals.sizes)
        steps = (True, False, True) if self.finals.regularises else ()  # whether others are tried; else it goes on
        for at, tries in enumerate(steps, stage):
            tried = [genotype, *(_list_others(genotype, before, regularise) if tries else ())]
            if tries and len(tried) == 1:
                continue
            made = [self._find(at, winner, one) for one in tried]
            for one, trial in zip(tried, made, strict=True):
                if trial is None:
                    share, what = (_TRIED, _name_change(genotype, one)) if tries else (_FIRST, "its first part")
                    return self._propose(winner, one, before, at, share, what)
            if any(trial is None or trial.outcome is None for trial in made):
                return None
            if ranked := _rank(made):
                before, genotype = ranked[0], ranked[0].genotype
            elif not tries:
                return None
        last = stage + len(steps)
        if self._find(last, winner, genotype) is not None:
            return None
        return self._propose(winner, genotype, before, last, None, f"stage {count} of {count}")

    def _find(self, stage: int, candidate: int, genotype: Genotype) -> Trial | None:
        own = (one for one in self.parts if _candidate(one) == candidate and one.genotype == genotype)
        return next((one for one in own if isinstance(one.job, TrainFinalist) and one.job.stage == stage), None)

    def _propose_race(self, candidate: int, before: Trial | None, stage: int) -> Proposal:
        """A part of the race: all of a stage have its share together."""
        finals, sizes = self.finals, self.finals.sizes
        stages = len(sizes) - 1
        # what it will have been trained for if it wins: its parts of the race, and the rest
        to_come = sum(finals.racing / stages / size for size in sizes[stage + 1 : -1]) + 1 - finals.racing
        share, what = finals.racing / stages / sizes[stage], f"stage {stage + 1} of {len(sizes)}"
        return self._propose(candidate, self.trials[candidate].genotype, before, stage, share, what, to_come)

    def _propose(
        self,
        candidate: int,
        genotype: Genotype,
        before: Trial | None,
        stage: int,
        share: float | None,
        what: str,
        to_come: float = 0.0,
    ) -> Proposal:
        """A part that has a share of the finals' time; without one, the last, which has what is left of it."""
        finals, own = self.finals, self.trials[candidate]
        if before is None and isinstance(own.job, Train) and self.goes_on(candidate):
            before = own
        latest = before or own
        an_epoch, epoch_size = _plan_epoch(finals, latest)
        trained = 0 if before is None else latest.measurements[-1].epoch
        if share is None:
            spent = sum(count_part_seconds(trial, self.trials) for trial in self.parts)
            seconds = max(finals.seconds - spent, _LEAST_LAST * finals.seconds)
            seconds = min(seconds, max(self.left, _LEAST_LEFT * finals.seconds))
        else:
            seconds = share * finals.seconds
        epochs = max(1, round(seconds / an_epoch))
        if epoch_size is not None and epochs == 1:  # shorter than one of the winner's
            shorter = min(1.0, seconds / an_epoch)
            an_epoch, epoch_size = an_epoch * shorter, max(1, round(epoch_size * shorter))
        job = TrainFinalist(
            finals.after,
            candidate,
            stage,
            trained,
            epochs,
            trained + epochs + (0 if share is None else max(1, round(to_come * finals.seconds / an_epoch))),
            settles=share is None,
            continues=None if before is None else before.number,
            seconds=None if epoch_size is None else round(epochs * an_epoch, 3),
            epoch_size=epoch_size,
            objective=self.objective,
        )
        return Proposal(genotype, (latest.number,), f"finals of trial {candidate}, {what}", job)


def _rank(made: Sequence[Trial | None]) -> list[Trial]:
    """The trials that were trained, the best first; none where some have not ended."""
    ended = [trial for trial in made if trial is not None and trial.outcome is not None]
    if len(ended) < len(made):
        return []
    alive = [trial for trial in ended if trial.outcome is not None and trial.outcome.scored]
    return sorted(alive, key=lambda trial: (trial.losses[0], trial.number))


def _candidate(part: Trial) -> int:
    assert isinstance(part.job, TrainFinalist)
    return part.job.candidate


def _list_others(genotype: Genotype, before: Trial | None, regularise: Regularise) -> Sequence[Genotype]:
    """What a winner is tried as beside itself: nothing, unless it learns its data by heart."""
    if before is None or before.metrics.get(OVERFITTING.name, 0.0) <= _OVERFITTING:
        return ()
    return regularise(genotype)


def _name_change(genotype: Genotype, changed: Genotype) -> str:
    """Say what is tried, in words."""
    changes = [f"{site} {before} -> {after}" for site, (before, after) in genotype.list_changes(changed).items()]
    return f"tried with {', '.join(changes)}" if changes else "beside what it is tried with"


def _plan_epoch(finals: Finals, latest: Trial) -> tuple[float, int | None]:
    """How many seconds an epoch of a finalist takes, and about how many examples that is.

    Where candidates were given a time, an epoch has a fixed share of the finals; else it is a candidate's epoch.
    """
    seconds = latest.metrics["seconds"]
    if not finals.timed:
        return seconds / latest.measurements[-1].epoch, None
    an_epoch = (1 - finals.racing) * finals.seconds / _EPOCHS_OF_WINNER
    return an_epoch, max(1, round(an_epoch * latest.metrics["examples"] / seconds))


def count_part_seconds(part: Trial, by_number: Mapping[int, Trial]) -> float:
    """Count the seconds of a part alone; those that are measured are of all that it goes on with."""
    assert isinstance(part.job, TrainFinalist)
    source = part.job.continues
    before = 0.0 if source is None else by_number[source].metrics["seconds"]
    return max(0.0, part.metrics.get("seconds", before) - before)


def find_winner(trials: Sequence[Trial]) -> Trial | None:
    """The finalist's trial of least loss, of those that have ended; None where none has."""
    own = [t for t in trials if isinstance(t.job, TrainFinalist)]
    ended = [t for t in own if t.outcome is not None and t.outcome.kind == "complete"]
    return min(ended, key=lambda trial: (trial.losses, trial.number), default=None)
