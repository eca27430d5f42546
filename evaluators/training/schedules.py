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
    "linear": lambda progress: 1 - progress,
    "late_linear": lambda progress: min(1.0, 2 * (1 - progress)),
    "one_cycle": _one_cycle,
}
"""The factor of the learning rate at a fraction of the training in [0, 1]: Loshchilov & Hutter 2017 for the
cosine, Smith & Topin 2018 for the one cycle (up from 1/25 in the first quarter, then down to 0), Zhu et al. 2017
(section 4) for the late linear one, which falls over the second half."""


def rate_factor(schedule: str, progress: float, settles_from: float = 1.0) -> float:
    """What the learning rate is multiplied by: the schedule's factor, and a fall to nothing at the end if asked.

    Args:
        progress: of the training, from 0; beyond 1 the factor is that of 1.
        settles_from: the progress at which that fall begins.
    """
    progress = min(progress, 1.0)
    settling = 1.0 if progress <= settles_from else (1 - progress) / (1 - settles_from)
    return SCHEDULES[schedule](progress) * settling
