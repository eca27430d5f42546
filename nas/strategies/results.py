"""What a model learns from: results as scores, those of one genotype together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.core.genotype import Genotype
from nas.core.trial import Trial

Array = npt.NDArray[np.float64]

_OWN = 0.5  # of what a model does not explain, taken for the genotype's own until repeated evaluations tell
_WORTH = 2.0  # repeated evaluations that this assumption is worth


@dataclass(frozen=True)
class Results:
    """The results of N genotypes.

    Attributes:
        genotypes: each once, in the order in which they were first evaluated.
        numbers: the trial of each that went best.
        scores: (N,) the mean normal score of each.
        evaluations: (N,) how often each was evaluated.
        spread: the sum of squares of the scores around their genotype's mean.
    """

    genotypes: list[Genotype]
    numbers: list[int]
    scores: Array
    evaluations: Array
    spread: float

    @property
    def repeated(self) -> int:
        """How many evaluations were not a genotype's first: the degrees of freedom of the spread."""
        return int(self.evaluations.sum()) - len(self.genotypes)

    def noise_share(self, unexplained: float) -> float:
        """How much of a variance that the decisions do not explain is noise, and not the genotypes' own; in (0, 1].

        Half, as long as no genotype was evaluated twice; then what the repeated evaluations say.
        """
        assumed = (1 - _OWN) * _WORTH * unexplained
        return float(np.clip((assumed + self.spread) / (unexplained * (_WORTH + self.repeated)), 0.01, 1.0))


def results_of(trials: Sequence[Trial]) -> Results:
    """The results of ended trials, one or more, in their first objective."""
    losses = np.array([trial.losses[0] for trial in trials])
    scores = normal_scores(losses)
    places: dict[Genotype, list[int]] = {}
    for place, trial in enumerate(trials):
        places.setdefault(trial.genotype, []).append(place)
    means = np.array([scores[group].mean() for group in places.values()])
    return Results(
        list(places),
        [trials[min(group, key=lambda place: losses[place])].number for group in places.values()],
        means,
        np.array([float(len(group)) for group in places.values()]),
        float(sum(((scores[group] - scores[group].mean()) ** 2).sum() for group in places.values())),
    )


def normal_scores(losses: Array) -> Array:
    """Of the ranks, the least loss highest; failures share the lowest."""
    from scipy.stats import norm, rankdata

    return np.asarray(norm.ppf((rankdata(-losses) - 0.5) / len(losses)), dtype=np.float64)
