"""The finals of a search: the best few candidates, and the usual one, are trained in full against each other.

Successive halving by going on (Jamieson & Talwalkar 2016): every finalist is trained for a while, the weaker half is
left, the others go on from where they were, and the last one takes the rest of the time. Which part comes next follows
from the trials alone, so a run that was interrupted goes on with the part that is missing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from nas.core.evaluator import CHECKPOINT
from nas.core.genotype import Genotype
from nas.core.job import Train, TrainFinalist, TrainRung, is_told
from nas.core.search import Search
from nas.core.trial import Proposal, Trial
from nas.session.plan import RESERVE
from nas.study.study import Study

RACING = 0.25
"""The share of the finals' time in which the finalists race; the rest is the winner's, who then has had most of it."""
_EPOCHS_OF_WINNER = 16  # in the time after the race
_LEAST_LAST = 0.3  # of the finals' time that is the winner's, however long the parts before took


@dataclass(frozen=True)
class Finals:
    """Who is in the finals, and for how long.

    Attributes:
        after: how many trials the strategy had proposed.
        seconds: of training, of all finalists together.
        candidates: the numbers of the trials whose genotypes are trained, the best first.
    """

    after: int
    seconds: float
    candidates: tuple[int, ...]

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
        end: when the run's time is up, by the clock `now`; None for no limit.
    """

    def __init__(
        self,
        study: Study,
        count: int,
        share: float,
        usual: Genotype | None,
        end: float | None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study, self._count, self._share, self._usual = study, count, share, usual
        self._end, self._now = end, now

    def propose_part(self, search: Search) -> Proposal | None:
        """Propose what is to be trained next, once the strategy has no more; None to wait, or if nothing is."""
        finals = self._find(search)
        return None if finals is None else next_part(finals, search.begun)

    def find_best(self, search: Search) -> Trial | None:
        """Find the winner of the finals, or what the strategy recommends where that is better or there are none.

        Finals that had little time leave a finalist worse than the candidate that it was.
        """
        finals, best = self._read(search.begun), search.best
        winner = None if finals is None else find_winner(finals, search.begun)
        if winner is None or (best is not None and best.losses < winner.losses and not best.provisional):
            return best
        return winner

    def forget_checkpoints(self, trial: Trial) -> None:
        """Remove the checkpoints that nothing goes on from once a finalist's part has ended."""
        if not isinstance(trial.job, TrainFinalist):
            return
        gone = [trial.job.continues] if not trial.job.settles else [int(p.stem) for p in self._study.checkpoints()]
        for number in gone:
            if number is not None:
                self._study.weights_path(number, CHECKPOINT).unlink(missing_ok=True)

    def _read(self, trials: Sequence[Trial]) -> Finals | None:
        note = self._study.notes.get("finals")
        if note is None or note["after"] != sum(trial.job.counted for trial in trials):
            return None
        return Finals(note["after"], note["seconds"], tuple(note["candidates"]))

    def _find(self, search: Search) -> Finals | None:
        """The finals of these trials: those that have begun, or new ones."""
        if not self._count:
            return None
        recorded = self._read(search.begun)
        if recorded is not None:
            return recorded
        explored = [trial for trial in search.begun if is_told(trial.job)]
        best = None if search.best is None else search.best.number
        candidates = choose_finalists(explored, best, self._usual, self._count)
        if not candidates:
            return None
        if self._end is None:
            trained: dict[int, float] = {}  # by candidate; one that was promoted counts from its beginning
            for trial in explored:
                trained[trial.candidate] = max(trained.get(trial.candidate, 0.0), trial.metrics.get("seconds", 0.0))
            seconds = sum(trained.values()) * self._share / (1 - self._share)
        else:
            seconds = max(0.0, self._end - RESERVE - self._now())
        finals = Finals(sum(trial.job.counted for trial in explored), round(seconds, 3), candidates)
        self._study.note("finals", finals.note())
        return finals


def choose_finalists(
    explored: Sequence[Trial], best: int | None, usual: Genotype | None, count: int
) -> tuple[int, ...]:
    """The numbers of the trials that are trained in full: the `count` best, and the usual one if it was trained.

    Args:
        explored: what the strategy has proposed.
        best: the number that the strategy recommends, which is first; None where it recommends none.
        usual: the usual genotype.
    """
    whole = [t for t in explored if isinstance(t.job, (Train, TrainRung)) and t.outcome and t.outcome.scored]
    whole = [trial for trial in whole if not trial.stopped or trial.reached]
    able = [trial for trial in whole if trial.losses[0] < math.inf and trial.metrics.get("seconds")]
    able.sort(key=lambda t: (t.number != best, t.stopped, -t.reached, t.losses, t.number))
    chosen: dict[Genotype, int] = {}
    for trial in able:
        if len(chosen) < count:
            chosen.setdefault(trial.genotype, trial.number)
    for trial in able:
        if trial.genotype == usual:
            chosen.setdefault(trial.genotype, trial.number)
    return tuple(chosen.values())


def next_part(finals: Finals, trials: Sequence[Trial]) -> Proposal | None:
    """The part of a finalist's training that comes next; None where one must end before, or the finals are over."""
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
                return _propose_part(finals, by_number[candidate], before, stage, list(parts.values()))
        here = [parts[candidate, stage] for candidate in left]
        if any(trial.outcome is None for trial in here):
            return None
        alive = [trial for trial in here if trial.outcome is not None and trial.outcome.scored]
        alive.sort(key=lambda trial: (trial.losses[0], trial.number))
        left = [trial.job.candidate for trial in alive if isinstance(trial.job, TrainFinalist)]
        if not left:
            return None
    return None


def _propose_part(finals: Finals, candidate: Trial, before: Trial | None, stage: int, parts: list[Trial]) -> Proposal:
    latest, sizes, racing = before or candidate, finals.sizes, RACING * finals.seconds
    an_epoch, epoch_size = _size_epoch(finals, latest)
    trained = 0 if before is None else latest.measurements[-1].epoch
    if stage == len(sizes) - 1:
        spent = sum({_candidate_of(trial): trial.metrics.get("seconds", 0.0) for trial in parts}.values())
        seconds = max(finals.seconds - spent, _LEAST_LAST * finals.seconds)
        epochs = max(1, round(seconds / an_epoch))
        horizon = trained + epochs
    else:
        epochs = max(1, round(racing / (len(sizes) - 1) / sizes[stage] / an_epoch))
        # what it will have been trained for if it wins: its parts of the race, and the rest
        to_come = sum(racing / (len(sizes) - 1) / size for size in sizes[stage + 1 : -1])
        horizon = trained + epochs + max(1, round((to_come + (1 - RACING) * finals.seconds) / an_epoch))
    job = TrainFinalist(
        finals.after,
        candidate.number,
        stage,
        trained,
        epochs,
        horizon,
        settles=stage == len(sizes) - 1,
        continues=None if before is None else before.number,
        epoch_size=epoch_size,
    )
    origin = f"finals of trial {candidate.number}, stage {stage + 1} of {len(sizes)}"
    return Proposal(candidate.genotype, (latest.number,), origin, job)


def _size_epoch(finals: Finals, latest: Trial) -> tuple[float, int | None]:
    """How many seconds an epoch of a finalist takes, and how many examples it shows.

    Where candidates were given a time, an epoch takes a fixed share of the finals; else it is a candidate's epoch.
    """
    seconds, job = latest.metrics["seconds"], latest.job
    if isinstance(job, TrainFinalist) or "examples" not in latest.metrics:
        return seconds / latest.measurements[-1].epoch, job.epoch_size if isinstance(job, TrainFinalist) else None
    an_example = seconds / latest.metrics["examples"]
    an_epoch = (1 - RACING) * finals.seconds / _EPOCHS_OF_WINNER
    size = max(1, round(an_epoch / an_example))
    return size * an_example, size


def _candidate_of(trial: Trial) -> int:
    assert isinstance(trial.job, TrainFinalist)
    return trial.job.candidate


def find_winner(finals: Finals, trials: Sequence[Trial]) -> Trial | None:
    """The finalist's trial of least loss, of those that have ended; None where none has."""
    own = [t for t in trials if isinstance(t.job, TrainFinalist) and t.job.after == finals.after]
    ended = [t for t in own if t.outcome is not None and t.outcome.kind == "complete"]
    return min(ended, key=lambda trial: (trial.losses, trial.number), default=None)
