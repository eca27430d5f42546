"""Rungs: the epochs at which successive halving compares trials, and who goes on from one."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nas.core.trial import Objective, Trial
from nas.early_stopping.losses import describe_loss, led_nowhere


def choose_first_rung(given: int | None, epochs: int) -> int:
    """A sixth of the epochs, rounded up, where nothing is said: earlier, curves cross (docs/benchmarks.md)."""
    return -(-epochs // 6) if given is None else given


def list_rungs(first: int, reduction: int, epochs: int) -> tuple[int, ...]:
    """The epochs first, first * reduction, ... before the last one."""
    found = []
    while first < epochs:
        found.append(first)
        first *= reduction
    return tuple(found)


def find_passed_rungs(trial: Trial, rungs: Sequence[int]) -> list[int]:
    """The rungs that it came to with its last measurement; several, if none came between."""
    *before, last = trial.curve
    previous = before[-1] if before else 0
    return [rung for rung in rungs if previous < rung <= last]


def explain_demotion(
    rule: str, objective: Objective, rungs: Sequence[int], reduction: int, trial: Trial, others: Sequence[Trial]
) -> str | None:
    """Why a trial goes no further than a rung of successive halving; None where it does, or is at none."""
    for rung in find_passed_rungs(trial, rungs):
        below = max((lower for lower in rungs if lower < rung), default=0)
        own = find_loss_at(trial, rung, below)
        came = [loss for other in others if (loss := find_loss_at(other, rung, below)) is not None]
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


def find_loss_at(trial: Trial, rung: int, below: int) -> float | None:
    """The loss of a trial when it came to a rung; None where it has not. `below` is the rung before, or 0."""
    if led_nowhere(trial):
        return math.inf if max(trial.curve, default=0) >= below else None
    return next((loss for epoch, loss in trial.curve.items() if epoch >= rung), None)
