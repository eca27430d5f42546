"""What a model learns from: results as scores, those of one genotype together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nas.core.genotype import Genotype
from nas.core.trial import Trial
from nas.strategies.encoding import Array

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

    def unexplained_shares(self, noise_share: float) -> Array:
        """(N,) the variance in each mean score that decisions do not explain, to that in one evaluation's score."""
        return 1 - noise_share + noise_share / self.evaluations


def collect_results(trials: Sequence[Trial]) -> Results:
    """The results of ended trials, one or more, in their first objective.

    The trial of a genotype that went best is a complete one, where there is one.
    """
    losses = [(trial.stopped, trial.losses[0]) for trial in trials]
    scores = normal_scores(trials)
    places: dict[Genotype, list[int]] = {}
    for place, trial in enumerate(trials):
        places.setdefault(trial.genotype, []).append(place)
    groups = [scores[group] for group in places.values()]
    means = np.array([group[0] if len(group) == 1 else group.mean() for group in groups])
    return Results(
        list(places),
        [trials[min(group, key=lambda place: losses[place])].number for group in places.values()],
        means,
        np.array([float(len(group)) for group in places.values()]),
        float(sum(((group - group.mean()) ** 2).sum() for group in groups if len(group) > 1)),
    )


def normal_scores(trials: Sequence[Trial]) -> Array:
    """Of the ranks in the first objective, the least loss highest; failures share the lowest.

    A trial's rank is how many others it is better than, and equal ones count half. One that was stopped early is
    compared with each other after the last epoch that both have: its loss then is one of fewer epochs than the
    others' in the end.
    """
    from scipy.special import ndtri

    if any(trial.stopped for trial in trials):
        losses = _losses_after(trials)
        ends = np.array([_last_epoch(trial) if trial.stopped else losses.shape[1] for trial in trials])
        common = np.minimum(ends[:, None], ends[None, :]) - 1
        own = np.take_along_axis(losses, common, axis=1)  # [i, j] of i, where it is compared with j
    else:
        own = np.repeat([[trial.losses[0]] for trial in trials], len(trials), axis=1)
    better, equal = own < own.T, own == own.T
    ranks = better.sum(axis=1) + (equal.sum(axis=1) - 1) / 2
    return np.asarray(ndtri((ranks + 0.5) / len(trials)), dtype=np.float64)


def _losses_after(trials: Sequence[Trial]) -> Array:
    """(trials, epochs): the loss after every epoch, or after the nearest that was measured; failures are infinite.

    The last column, beyond all epochs, has the losses that trials ended with.
    """
    losses = np.empty((len(trials), max(map(_last_epoch, trials)) + 1))
    for row, trial in zip(losses, trials, strict=True):
        end = trial.losses[0]
        loss = next(iter(trial.curve.values()), end)
        for place in range(len(row)):
            loss = trial.curve.get(place + 1, loss)
            row[place] = loss if np.isfinite(end) else end
        row[-1] = end
    return losses


def _last_epoch(trial: Trial) -> int:
    return max(trial.curve, default=1)
