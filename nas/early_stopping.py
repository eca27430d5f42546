"""The rules of early stopping. Each decides anew from the learning curves, whose losses are less for the better."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import Annotated

from nas.core.errors import UserError
from nas.core.space import generator_for
from nas.core.trial import Objective, Trial

_LED_NOWHERE = ("diverged", "collapsed")


class Never:
    """Train every candidate to its last epoch."""

    def __init__(self, objective: Objective, *, epochs: int, seed: int) -> None: ...

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """There is none."""
        return None


class Asha:
    """Asynchronous successive halving (Li et al. 2020): go on with the better half of those who came as far.

    There are rungs after r, r eta, r eta^2, ... epochs, as long as that is before the last. Of the n trials that came
    to a rung so far, itself included, a trial goes on if its loss there is among the floor(n / eta) least, or the
    least where that is none. Algorithm 2 pauses the others and may promote them later; here they are stopped for
    good, as by Optuna's SuccessiveHalvingPruner, whose decisions these are.

    A trial that diverged or collapsed counts as the worst at all rungs up to the one it was on its way to: what its
    losses were before, when its learning rate was too high, is no measure for others. One that failed otherwise counts
    at the rungs that it came to.

    Usually one in three or four goes on. Two, with the first rung later, lost the best less often at as many epochs
    (docs/benchmarks.md).
    """

    def __init__(
        self,
        objective: Objective,
        *,
        epochs: int,
        seed: int,
        reduction: Annotated[int, "eta: one in so many goes on from a rung"] = 2,
        first: Annotated[
            int | None, "r: epochs before the first rung; by default a sixth of all, for GANs a half"
        ] = None,
    ) -> None:
        self._objective = objective
        self._reduction = _at_least("reduction", reduction, 2)
        self._rungs = _rungs(_before_the_last("first", _first(first, epochs), epochs), reduction, epochs)

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """That its loss at a rung is not among the best."""
        return _not_promoted("asha", self._objective, self._rungs, self._reduction, trial, others)


class Hyperband:
    """Hyperband (Li et al. 2018), asynchronous: brackets of successive halving that begin to stop later and later.

    Bracket s = 0, 1, ... is `asha` with its first rung after r eta^s epochs; the last one stops nothing, or hardly
    anything. So a candidate that learns slowly at first is not always lost, at the price of more epochs. The share
    of the trials that each bracket has is algorithm 1's, and so is the number of brackets; trials are compared with
    those of their bracket alone. Which that is follows from a trial's number and the run's seed: in every row of as
    many trials as the shares add up to, each bracket has its share, in random order.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        epochs: int,
        seed: int,
        reduction: Annotated[int, "eta: one in so many goes on from a rung"] = 3,
        first: Annotated[int, "r: epochs before the first rung of the first bracket"] = 1,
    ) -> None:
        self._objective, self._seed = objective, seed
        self._reduction = _at_least("reduction", reduction, 2)
        _before_the_last("first", first, epochs)
        starts = [first, *_rungs(first * reduction, reduction, epochs + 1)]
        self._brackets = [_rungs(start, reduction, epochs) for start in starts]
        most = len(starts) - 1  # s_max, which the paper counts s down from
        self._rows: dict[int, list[int]] = {}  # drawn once, since they are asked for again and again
        self.shares: list[int] = [math.ceil((most + 1) * reduction**s / (s + 1)) for s in range(most, -1, -1)]

    def bracket(self, number: int) -> int:
        """Of the trial of this number; the first, 0, stops earliest."""
        row, place = divmod(number, sum(self.shares))
        if row not in self._rows:
            slots = [bracket for bracket, share in enumerate(self.shares) for _ in range(share)]
            order = generator_for(self._seed, row, _OF_BRACKETS).permutation(len(slots))
            self._rows[row] = [slots[int(place)] for place in order]
        return self._rows[row][place]

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """That its loss at a rung is not among the best of its bracket."""
        own = self.bracket(trial.number)
        rungs = self._brackets[own]
        if not _passed(trial, rungs):
            return None
        same = [other for other in others if self.bracket(other.number) == own]
        return _not_promoted(f"hyperband, bracket {own}", self._objective, rungs, self._reduction, trial, same)


class Median:
    """The median stopping rule (Golovin et al. 2017, section 3.2.2): go on with what is better than half.

    After an epoch, a trial is stopped if its best loss so far is worse than the median, over the complete trials, of
    the mean of their losses up to this epoch. Trials that were stopped or failed are not compared with, as in
    Optuna's MedianPruner; that one, however, takes the median of the losses at this epoch, not of means.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        epochs: int,
        seed: int,
        startup: Annotated[int, "complete trials before any is stopped"] = 5,
        warm_up: Annotated[int, "epochs of a trial after which it is not stopped yet"] = 1,
    ) -> None:
        self._objective, self._epochs = objective, epochs
        self._startup = _at_least("startup", startup, 1)
        self._warm_up = _at_least("warm_up", warm_up, 0)

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """That its best loss is worse than the median of the means."""
        epoch = max(trial.curve)
        complete = [t for t in others if t.outcome is not None and t.outcome.kind == "complete" and t.curve]
        if not self._warm_up < epoch < self._epochs or len(complete) < self._startup:
            return None
        means = [[loss for at, loss in other.curve.items() if at <= epoch] for other in complete]
        median = statistics.median(statistics.fmean(losses) for losses in means if losses)
        best = min(trial.curve.values())
        if best <= median:
            return None
        mean, found = _told(self._objective, median), _told(self._objective, best)
        name = self._objective.name
        return (
            f"median: the best {name} up to epoch {epoch}, {found}, is worse than {mean}, "
            f"the median of the means of {len(complete)} complete trials"
        )


class Plateau:
    """Patience (Goodfellow, Bengio & Courville 2016, algorithm 7.1): stop what has not improved for K epochs.

    The best trial so far is not stopped: a stopped one has no weights and cannot win.
    """

    def __init__(
        self,
        objective: Objective,
        *,
        epochs: int,
        seed: int,
        patience: Annotated[int, "K: epochs without improvement"] = 3,
        min_delta: Annotated[float, "improvements by a smaller share of the best loss so far do not count"] = 0.01,
    ) -> None:
        self._objective, self._epochs = objective, epochs
        self._patience = _at_least("patience", patience, 1)
        if not 0 <= min_delta < 1:
            raise UserError("--stop-set min_delta", min_delta, "0 to less than 1")
        self._min_delta = min_delta

    def reason_to_stop(self, trial: Trial, others: Sequence[Trial]) -> str | None:
        """That it stays where it is, while another is better."""
        epoch = max(trial.curve)
        level, since = math.inf, 0
        for at, loss in trial.curve.items():
            # an infinite level has no share
            if loss < (level - self._min_delta * abs(level) if math.isfinite(level) else level):
                level, since = loss, at
        if epoch - since < self._patience or epoch >= self._epochs:
            return None
        least = min((loss for t in others if not _led_nowhere(t) for loss in t.curve.values()), default=math.inf)
        if min(trial.curve.values()) <= least:
            return None
        return (
            f"plateau: {self._objective.name} has not improved by {self._min_delta:.3g} of itself since epoch {since} "
            f"({_told(self._objective, level)}), and the best so far is {_told(self._objective, least)}"
        )


_OF_BRACKETS = 3  # the purpose of these draws: 1 is for trials' seeds, strategies have 2


def _first(given: int | None, epochs: int) -> int:
    """A sixth of the epochs, rounded up, where nothing is said: earlier, curves cross (docs/benchmarks.md)."""
    return -(-epochs // 6) if given is None else given


def _rungs(first: int, reduction: int, epochs: int) -> tuple[int, ...]:
    """The epochs first, first * reduction, ... before the last one."""
    found = []
    while first < epochs:
        found.append(first)
        first *= reduction
    return tuple(found)


def _passed(trial: Trial, rungs: Sequence[int]) -> list[int]:
    """The rungs that it came to with its last measurement; several, if none came between."""
    *before, last = trial.curve
    previous = before[-1] if before else 0
    return [rung for rung in rungs if previous < rung <= last]


def _not_promoted(
    rule: str, objective: Objective, rungs: Sequence[int], reduction: int, trial: Trial, others: Sequence[Trial]
) -> str | None:
    """Why a trial goes no further than a rung of successive halving; None where it does, or is at none."""
    for rung in _passed(trial, rungs):
        below = max((lower for lower in rungs if lower < rung), default=0)
        own = _loss_at(trial, rung, below)
        came = [loss for other in others if (loss := _loss_at(other, rung, below)) is not None]
        assert own is not None
        losses = sorted([own, *came])
        kept = max(1, len(losses) // reduction)
        if own > losses[kept - 1]:
            among = "the best" if kept == 1 else f"among the best {kept}"
            better = "less" if objective.direction == "minimize" else "more"
            return (
                f"{rule}: {objective.name} {_told(objective, own)} after epoch {rung} is not {among} of the "
                f"{len(losses)} that came so far ({_told(objective, losses[kept - 1])} or {better})"
            )
    return None


def _loss_at(trial: Trial, rung: int, below: int) -> float | None:
    """The loss of a trial when it came to a rung; None where it has not. `below` is the rung before, or 0."""
    if _led_nowhere(trial):
        return math.inf if max(trial.curve, default=0) >= below else None
    return next((loss for epoch, loss in trial.curve.items() if epoch >= rung), None)


def _led_nowhere(trial: Trial) -> bool:
    return trial.outcome is not None and trial.outcome.kind in _LED_NOWHERE


def _told(objective: Objective, loss: float) -> str:
    """A loss as the objective's value."""
    return f"{objective.loss(loss):.4g}"  # turned twice it is as it was


def _at_least(option: str, value: int, least: int) -> int:
    if value < least:
        raise UserError(f"--stop-set {option}", value, f"{least} or more")
    return value


def _before_the_last(option: str, value: int, epochs: int) -> int:
    """Where there is one epoch, its end is all there is, and nothing is ever stopped."""
    if not 1 <= value < max(2, epochs):
        allowed = f"1 to {epochs - 1}, as there are {epochs} epochs" if epochs > 2 else "1"
        raise UserError(f"--stop-set {option}", value, allowed)
    return value
