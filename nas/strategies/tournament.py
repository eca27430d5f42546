"""Selection of parents by tournament."""

from __future__ import annotations

from collections.abc import Sequence

from nas.core.space import Generator
from nas.core.trial import Trial


def loss_then_number(trial: Trial) -> tuple[float, int]:
    """What trials are sorted by, the best first: the first loss, and among equals the earlier trial."""
    return trial.losses[0], trial.number


def select_by_tournament(population: Sequence[Trial], size: int, generator: Generator, *, replace: bool) -> Trial:
    """The best of `size` members drawn at random, with replacement or without."""
    drawn = generator.choice(len(population), size, replace=replace)
    return min((population[int(member)] for member in drawn), key=loss_then_number)
