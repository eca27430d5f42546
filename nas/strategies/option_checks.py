"""Checks of a strategy's space and of its options, each with the one message that a user is shown."""

from __future__ import annotations

from nas.core.errors import UserError
from nas.core.space import Evolvable, SearchSpace
from nas.strategies.mutation import EvolvableSpace


def require_evolvable(space: SearchSpace, strategy: str) -> EvolvableSpace:
    """Give the space back if its genotypes can be mutated.

    Raises:
        UserError: they cannot.
    """
    if not isinstance(space, Evolvable):
        raise UserError("--strategy", strategy, "spaces that can mutate a genotype")
    return space


def require(fits: bool, option: str, value: object, allowed: str) -> None:
    """Refuse an option's value unless it fits.

    Raises:
        UserError: it does not fit; `allowed` says what would.
    """
    if not fits:
        raise UserError(f"--set {option}", value, allowed)


def require_at_least(least: int, **options: float | None) -> None:
    """Refuse numbers under `least`; None fits, where the strategy then chooses the number itself."""
    for option, value in options.items():
        require(value is None or value >= least, option, value, f"{least} or more")


def require_probability(**options: float | None) -> None:
    """Refuse numbers outside [0, 1]; None fits, where the strategy then chooses the number itself."""
    for option, value in options.items():
        require(value is None or 0 <= value <= 1, option, value, "0 to 1")


def require_share(**options: float) -> None:
    """Refuse numbers outside (0, 1]."""
    for option, value in options.items():
        require(0 < value <= 1, option, value, "more than 0, at most 1")
