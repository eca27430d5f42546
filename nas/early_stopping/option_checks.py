"""Checks of the options of rules of early stopping."""

from __future__ import annotations

from nas.core.errors import UserError


def require_at_least(option: str, value: int, least: int) -> int:
    """Give the value of an option back, unless it is less than `least`.

    Raises:
        UserError: it is less.
    """
    if value < least:
        raise UserError(f"--stop-set {option}", value, f"{least} or more")
    return value


def require_before_last(option: str, value: int, epochs: int) -> int:
    """Give a number of epochs back, unless it is under 1 or no epoch follows it; of one epoch in all, 1 fits.

    Raises:
        UserError: it does not fit.
    """
    if not 1 <= value < max(2, epochs):
        allowed = f"1 to {epochs - 1}, as there are {epochs} epochs" if epochs > 2 else "1"
        raise UserError(f"--stop-set {option}", value, allowed)
    return value
