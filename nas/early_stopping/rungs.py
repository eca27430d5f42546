"""What rules of early stopping share: rungs, losses at them, and the checks of their options."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas.core.errors import UserError
from nas.core.trial import Objective, Trial

_LED_NOWHERE = ("diverged", "collapsed")


def first_rung(given: int | None, epochs: int) -> int:
    """A sixth of the epochs, rounded up, where nothing is said: earlier, curves cross (docs/benchmarks.md)."""
    return -(-epochs // 6) if given is None else given


def rungs_of(first: int, reduction: int, epochs: int) -> tuple[int, ...]:
    """The epochs first, first * reduction, ... before the last one."""
    found = []
    while first < epochs:
        found.append(first)
        first *= reduction
    return tuple(found)


def passed_rungs(trial: Trial, rungs: Sequence[int]) -> list[int]:
    """The rungs that it came to with its last measurement; several, if none came between."""
    *before, last = trial.curve
    previous = before[-1] if before else 0
    return [rung for rung in rungs if previous < rung <= last]


def reason_not_promoted(
    rule: str, objective: Objective, rungs: Sequence[int], reduction: int, trial: Trial, others: Sequence[Trial]
) -> str | None:
    """Why a trial goes no further than a rung of successive halving; None where it does, or is at none."""
    for rung in passed_rungs(trial, rungs):
        below = max((lower for lower in rungs if lower < rung), default=0)
        own = loss_at(trial, rung, below)
        came = [loss for other in others if (loss := loss_at(other, rung, below)) is not None]
        assert own is not None
        losses = sorted([own, *came])
        kept = max(1, len(losses) // reduction)
        if own > losses[kept - 1]:
            among = "the best" if kept == 1 else f"among the best {kept}"
            better = "less" if objective.direction == "minimize" else "more"
            return (
                f"{rule}: {objective.name} {describe_loss(objective, own)} after epoch {rung} is not {among} of the "
                f"{len(losses)} that came so far ({describe_loss(objective, losses[kept - 1])} or {better})"
            )
    return None


def loss_at(trial: Trial, rung: int, below: int) -> float | None:
    """The loss of a trial when it came to a rung; None where it has not. `below` is the rung before, or 0."""
    if led_nowhere(trial):
        return math.inf if max(trial.curve, default=0) >= below else None
    return next((loss for epoch, loss in trial.curve.items() if epoch >= rung), None)


def led_nowhere(trial: Trial) -> bool:
    """Whether the trial diverged or collapsed: its loss is infinite at every rung it did not reach."""
    return trial.outcome is not None and trial.outcome.kind in _LED_NOWHERE


def describe_loss(objective: Objective, loss: float) -> str:
    """A loss as the objective's value."""
    return f"{objective.loss(loss):.4g}"  # turned twice it is as it was


def require_at_least(option: str, value: int, least: int) -> int:
    """The value of an option, which must not be less.

    Raises:
        UserError: it is.
    """
    if value < least:
        raise UserError(f"--stop-set {option}", value, f"{least} or more")
    return value


def require_before_last(option: str, value: int, epochs: int) -> int:
    """Where there is one epoch, its end is all there is, and nothing is ever stopped."""
    if not 1 <= value < max(2, epochs):
        allowed = f"1 to {epochs - 1}, as there are {epochs} epochs" if epochs > 2 else "1"
        raise UserError(f"--stop-set {option}", value, allowed)
    return value
