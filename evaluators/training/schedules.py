"""Learning rate schedules by name."""

from __future__ import annotations

import math
from collections.abc import Callable

_WARM_UP = 0.25


def _one_cycle(progress: float) -> float:
    if progress < _WARM_UP:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * progress / _WARM_UP))
    return 0.5 * (1 + math.cos(math.pi * (progress - _WARM_UP) / (1 - _WARM_UP)))


SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "one_cycle": _one_cycle,
}
"""The factor of the learning rate at a fraction of the training in [0, 1): Loshchilov & Hutter 2017 for the
cosine, Smith & Topin 2018 for the one cycle (up from 1/25 in the first quarter, then down to 0)."""
