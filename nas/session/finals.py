"""The finals of a search: when they begin, who is in them, and what they leave behind."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence, Set
from pathlib import Path

from nas.core.evaluator import CHECKPOINT
from nas.core.genotype import Genotype
from nas.core.job import Train, TrainFinalist, TrainRung, is_told
from nas.core.search import Search
from nas.core.trial import Proposal, Trial
from nas.session.final_parts import RACING, Finals, Regularise, find_winner, keep_as_it_is, next_part
from nas.study.study import Study

_EXPLORING_AGAIN = 0.6  # of the time that is left where finals end early: the usual genotype has had all it needs
_LEAST_AGAIN = 0.1  # of a time limit, for candidates and finals once more


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
        regularise: gives genotypes of the same weights that are kept from learning the data by heart.
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
        regularise: Regularise = keep_as_it_is,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study, self._count, self._share, self._usual = study, count, share, usual
        self._racing = min(RACING, 1 - share) if timed else RACING
        self._end, self._timed, self._now, self._began = end, timed, now, now()
        self._explored_at = math.inf if exploring is None else self._began + exploring
        self._starting, self._regularise = starts_later, regularise

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
        if finals is None or search.running:
            return False
        return next_part(finals, search.begun, regularise=self._regularise) is None

    def propose_part(self, search: Search) -> Proposal | None:
        """Propose what is to be trained next, once the strategy has no more; None to wait, or if nothing is."""
        finals = self._find(search)
        if finals is None:
            return None
        left = math.inf if self._end is None else self._end - self._now()
        return next_part(finals, search.begun, search.objectives[0].name, self._goes_on, self._regularise, left)

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
            case TrainFinalist(stage=stage, continues=source):
                gone = kept & {one.number for one in search.begun if _is_past(one, stage, source)}
            case Train():
                able = _sort_able(search.ended, None)
                hopeful = {one.number for one in able[: self._count + 1]}
                gone = kept - hopeful - {one.number for one in able if one.genotype == self._usual}
            case _:
                return
        for number in gone:
            self._path(number).unlink(missing_ok=True)

    def _goes_on(self, number: int) -> bool:
        return self._path(number).is_file()

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
            sum(trial.job.counted for trial in explored), round(seconds, 3), candidates, self._timed, self._racing,
            regularises=any(self._regularise(t.genotype) for t in explored if t.number in candidates),
        )  # fmt: skip
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


def _is_past(trial: Trial, stage: int, source: int | None) -> bool:
    """Whether nothing goes on from a trial, once a part of this stage has ended that went on from `source`."""
    if isinstance(trial.job, TrainFinalist):
        return trial.job.stage < stage - 1  # several of the next stage may go on from one of the stage before
    return trial.number == source
