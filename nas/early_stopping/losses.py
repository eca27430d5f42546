"""Losses of trials, as the rules of early stopping compare and describe them."""

from __future__ import annotations

from nas.core.trial import Objective, Trial

_LED_NOWHERE = ("diverged", "collapsed")


def led_nowhere(trial: Trial) -> bool:
    """Whether the trial diverged or collapsed: its loss is infinite at every rung it did not reach."""
    return trial.outcome is not None and trial.outcome.kind in _LED_NOWHERE


def describe_loss(objective: Objective, loss: float) -> str:
    """A loss as the objective's value."""
    return f"{objective.loss(loss):.4g}"  # turned twice it is as it was
