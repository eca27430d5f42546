"""The expected improvement: how much better than the best a genotype promises to be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nas.core.genotype import Genotype
from nas.strategies.encoding import Array
from nas.strategies.results import Results


@dataclass(frozen=True)
class Model:
    """What a model of the results has learned, and what it promises.

    Attributes:
        noise: the variance of the noise in one result.
        means, deviations: (N,) of what was evaluated.
        predict: mean and deviation of new genotypes.
    """

    results: Results
    noisy: bool
    noise: float
    means: Array
    deviations: Array
    predict: Callable[[list[Genotype]], tuple[Array, Array]]

    def improvement(self, genotypes: list[Genotype], margin: float = 0.0) -> Array:
        """The logarithm of the expected improvement of new genotypes by more than a margin over the best mean."""
        return self._expected(*self.predict(genotypes), margin)

    def improvement_again(self) -> Array:
        """That of evaluating again what was evaluated."""
        return self._expected(self.means, self.deviations)

    def _expected(self, means: Array, deviations: Array, margin: float = 0.0) -> Array:
        values = log_expected_improvement(means, deviations, float(self.means.max()) + margin)
        if self.noisy:  # what is known well already gains little from one more noisy result (Huang et al. 2006)
            values = values + np.log(1 - np.sqrt(self.noise / (deviations**2 + self.noise)))
        return np.asarray(values, dtype=np.float64)


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Of normal distributions over `best` (Jones et al. 1998); the logarithm does not vanish far below."""
    from scipy.special import log_ndtr

    z = (mean - best) / deviation
    log_density = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    # log(phi + z Phi) = log phi + log(1 + z Phi / phi); for z far below 0 it tends to phi / z^2
    ratio = np.exp(log_ndtr(np.maximum(z, -30.0)) - np.where(z < -30.0, -450 - 0.9189385332046727, log_density))
    inner = np.where(z < -30.0, 1 / np.maximum(z**2, 1.0), np.maximum(1 + z * ratio, 1e-12))
    return np.asarray(np.log(deviation) + log_density + np.log(inner), dtype=np.float64)
