"""The finals of a search: the best few candidates, and the usual one, are trained in full against each other.

Successive halving by going on (Jamieson & Talwalkar 2016): every finalist is trained for a while, the weaker half is
left, the others go on from where they were, and the last one takes the rest of the time. Which part comes next follows
from the trials alone, so a run that was interrupted goes on with the part that is missing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from pathlib import Path

from nas.core.evaluator import CHECKPOINT
from nas.core.genotype import Genotype
from nas.core.job import Train, TrainFinalist, TrainRung, is_told
from nas.core.search import Search
from nas.core.trial import Proposal, Trial
from nas.study.study import Study

RACING = 0.3
"""The share of the finals' time in which the finalists race; the rest is the winner's, who then has had most of it.

Where candidates have a time it is no more than the share of that which is for exploring.
"""
_EXPLORING_AGAIN = 0.6  # of the time that is left where finals end early: the usual genotype has had all it needs
_LEAST_AGAIN = 0.1  # of a time limit, for candidates and finals once more
_EPOCHS_OF_WINNER = 16  # in the time after the race
_LEAST_LAST = 0.3  # of the finals' time that is the winner's, however long the parts before took


@dataclass(frozen=True)
class Finals:
    """Who is in the finals, and for how long.

    Attributes:
        after: how many trials the strategy had proposed.
        seconds: of training, of all finalists together.
        candidates: the numbers of the trials whose genotypes are trained, the best first.
        timed: whether candidates were given a time.
        racing: the share of their time in which the finalists race.
    """

    after: int
    seconds: float
    candidates: tuple[int, ...]
    timed: bool = False
    racing: float = RACING

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


class FinalsHook:
    """The finals of one run: when they begin, which part is next, and who has won.

    Args:
        study: remembers them, so that a run that was interrupted goes on with the same.
        count: of the best candidates; 0 for no finals.
        share: of the time that is theirs.
        usual: the usual genotype, which is always among them.
        end: when the time of the finals is up, by the clock `now`; None for no limit.
        exploring: seconds of the candidates that come before; None for no limit.
        timed: whether candidates have a time.
        starts_later: whether `start_clock` is called when there is something that evaluates them.
    """

    def __init__(
        self,
        study: Study,
        count: int,
        share: float,
        usual: Genotype | None,
        end: float | None,
        exploring: float | None = None,
        *,
        timed: bool = False,
        starts_later: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study, self._count, self._share, self._usual = study, count, share, usual
        self._racing = min(RACING, 1 - share) if timed else RACING
        self._end, self._timed, self._now, self._began = end, timed, now, now()
        self._explored_at = math.inf if exploring is None else self._began + exploring
        self._starting = starts_later

    def start_clock(self) -> None:
        """Let the time of exploring begin: its share of what a start has left of the limit."""
        self._starting = False
        if self._count and self._end is not None:
            now = self._now()
            self._explored_at = now + (1 - self._share) * max(0.0, self._end - now)

    def end_exploring(self, search: Search) -> bool:
        """Say whether no further candidate begins: not before the time of exploring is over.

        Finals are over early where nothing improves any more, as on small data. What is left of a time limit then goes
        to more candidates, and their finals.
        """
        now = self._now()
        if now < self._explored_at or (self._starting and self._end is not None and now < self._end):
            return False
        if self._end is None or not self._have_ended(search):
            return True
        left = self._end - now
        if left < _LEAST_AGAIN * (self._end - self._began):
            return True
        self._explored_at = now + _EXPLORING_AGAIN * left
        return False

    def _have_ended(self, search: Search) -> bool:
        finals = self._read(search.begun)
        return finals is not None and not search.running and next_part(finals, search.begun) is None

    def propose_part(self, search: Search) -> Proposal | None:
        """Propose what is to be trained next, once the strategy has no more; None to wait, or if nothing is."""
        finals = self._find(search)
        if finals is None:
            return None
        return next_part(finals, search.begun, search.objectives[0].name, lambda number: self._path(number).is_file())

    def find_best(self, search: Search) -> Trial | None:
        """Find the winner of the finals, or what the strategy recommends where that is better or there are none.

        Finals that had little time leave a finalist worse than the candidate that it was.
        """
        best, winner = search.best, find_winner(search.begun)
        if winner is None or (best is not None and best.losses < winner.losses and not best.provisional):
            return best
        return winner

    def forget_checkpoints(self, search: Search, trial: Trial) -> None:
        """Remove the checkpoints that nothing goes on from once a trial has ended."""
        kept = {int(path.stem) for path in self._study.checkpoints()}
        match trial.job:
            case TrainFinalist(settles=True):
                gone = kept
            case TrainFinalist(continues=source):
                gone = kept & {source}
            case Train():
                able = _sort_able(search.ended, None)
                hopeful = {one.number for one in able[: self._count + 1]}
                gone = kept - hopeful - {one.number for one in able if one.genotype == self._usual}
            case _:
                return
        for number in gone:
            self._path(number).unlink(missing_ok=True)

    def _path(self, number: int) -> Path:
        return self._study.weights_path(number, CHECKPOINT)

    def _read(self, trials: Sequence[Trial]) -> Finals | None:
        note = self._study.notes.get("finals")
        if note is None or note["after"] != sum(trial.job.counted for trial in trials):
            return None
        return Finals(**{**note, "candidates": tuple(note["candidates"])})

    def _find(self, search: Search) -> Finals | None:
        """The finals of these trials: those that have begun, or new ones."""
        if not self._count:
            return None
        recorded = self._read(search.begun)
        if recorded is not None:
            return recorded
        explored = [trial for trial in search.begun if is_told(trial.job)]
        best = None if search.best is None else search.best.number
        earlier = {trial.genotype for trial in search.begun if isinstance(trial.job, TrainFinalist)}
        candidates = choose_finalists(explored, best, self._usual, self._count, earlier)
        if not (candidates or earlier):
            return None
        if self._end is None:
            seconds = plan_seconds(explored, self._share)
        else:
            seconds = self._end - self._now()
            if seconds <= 0:
                return None
        finals = Finals(
            sum(trial.job.counted for trial in explored), round(seconds, 3), candidates, self._timed, self._racing
        )
        self._study.note("finals", finals.note())
        return finals


def plan_seconds(explored: Sequence[Trial], share: float) -> float:
    """How many seconds of training finals have where no time is given: their share beside what candidates have had."""
    trained: dict[int, float] = {}  # by candidate; one that was promoted counts from its beginning
    for trial in explored:
        trained[trial.candidate] = max(trained.get(trial.candidate, 0.0), trial.metrics.get("seconds", 0.0))
    return sum(trained.values()) * share / (1 - share)


def choose_finalists(
    explored: Sequence[Trial],
    best: int | None,
    usual: Genotype | None,
    count: int,
    earlier: Set[Genotype] = frozenset(),
) -> tuple[int, ...]:
    """The numbers of the trials that are trained in full: the `count` best, and the usual one if it was trained.

    Args:
        explored: what the strategy has proposed.
        best: the number that the strategy recommends, which is first; None where it recommends none.
        usual: the usual genotype.
        earlier: those that were in the finals before, which are not again.
    """
    able = [trial for trial in _sort_able(explored, best) if trial.genotype not in earlier]
    chosen: dict[Genotype, int] = {}
    for trial in able:
        if len(chosen) < count:
            chosen.setdefault(trial.genotype, trial.number)
    for trial in able:
        if trial.genotype == usual:
            chosen.setdefault(trial.genotype, trial.number)
    return tuple(chosen.values())


def _sort_able(trials: Sequence[Trial], best: int | None) -> list[Trial]:
    """Sort the candidates that were trained to their end, the best first: that which is recommended, then by loss."""
    whole = [t for t in trials if isinstance(t.job, (Train, TrainRung)) and t.outcome and t.outcome.scored]
    whole = [trial for trial in whole if not trial.stopped or trial.reached]
    able = [trial for trial in whole if trial.losses[0] < math.inf and trial.metrics.get("seconds")]
    return sorted(able, key=lambda t: (t.number != best, t.stopped, -t.reached, t.losses, t.number))


def next_part(
    finals: Finals,
    trials: Sequence[Trial],
    objective: str = "",
    goes_on: Callable[[int], bool] = lambda number: False,
) -> Proposal | None:
    """The part of a finalist's training that comes next; None where one must end before, or the finals are over.

    Args:
        objective: the metric by which the best epoch of each is kept; empty for the evaluator's first.
        goes_on: whether a candidate of this number has left a checkpoint to go on from.
    """
    by_number = {trial.number: trial for trial in trials}
    parts = {
        (trial.job.candidate, trial.job.stage): trial
        for trial in trials
        if isinstance(trial.job, TrainFinalist) and trial.job.after == finals.after
    }
    left, sizes = list(finals.candidates), finals.sizes
    for stage, size in enumerate(sizes):
        left = left[:size]
        for candidate in left:
            if (candidate, stage) not in parts:
                before = parts.get((candidate, stage - 1))
                if before is None and isinstance(by_number[candidate].job, Train) and goes_on(candidate):
                    before = by_number[candidate]
                spent = sum(count_part_seconds(trial, by_number) for trial in parts.values())
                return _propose_part(finals, by_number[candidate], before, stage, spent, objective)
        here = [parts[candidate, stage] for candidate in left]
        if any(trial.outcome is None for trial in here):
            return None
        alive = [trial for trial in here if trial.outcome is not None and trial.outcome.scored]
        alive.sort(key=lambda trial: (trial.losses[0], trial.number))
        left = [trial.job.candidate for trial in alive if isinstance(trial.job, TrainFinalist)]
        if not left:
            return None
    return None


def _propose_part(
    finals: Finals, candidate: Trial, before: Trial | None, stage: int, spent: float, objective: str
) -> Proposal:
    latest, sizes, racing = before or candidate, finals.sizes, finals.racing * finals.seconds
    an_epoch, epoch_size = _plan_epoch(finals, latest)
    trained = 0 if before is None else latest.measurements[-1].epoch
    if stage == len(sizes) - 1:
        seconds = max(finals.seconds - spent, _LEAST_LAST * finals.seconds)
        epochs = max(1, round(seconds / an_epoch))
        horizon = trained + epochs
    else:
        epochs = max(1, round(racing / (len(sizes) - 1) / sizes[stage] / an_epoch))
        # what it will have been trained for if it wins: its parts of the race, and the rest
        to_come = sum(racing / (len(sizes) - 1) / size for size in sizes[stage + 1 : -1])
        horizon = trained + epochs + max(1, round((to_come + (1 - finals.racing) * finals.seconds) / an_epoch))
    job = TrainFinalist(
        finals.after,
        candidate.number,
        stage,
        trained,
        epochs,
        horizon,
        settles=stage == len(sizes) - 1,
        continues=None if before is None else before.number,
        seconds=None if epoch_size is None else round(epochs * an_epoch, 3),
        epoch_size=epoch_size,
        objective=objective,
    )
    origin = f"finals of trial {candidate.number}, stage {stage + 1} of {len(sizes)}"
    return Proposal(candidate.genotype, (latest.number,), origin, job)


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
