"""A Gaussian process over distances between genotypes, its kernel learned from the results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nas.strategies.encoding import Array, Distances

_JITTER = 1e-8
_FURTHEST = 6.0  # of the logarithm of a parameter from where it starts


class GaussianProcess:
    """Regression with k = a1 exp(-sum_g u_g d_g) + a2 mean_g exp(-v_g d_g) + a3 exp(-sum_c w_c e_c), and noise.

    d are the distances of decisions, e those of counts. The first term sees interactions of all decisions (the
    exponential Hamming kernel), the second each decision alone, the third how often each value is used. Amplitudes,
    weights and the noise's variance maximise the marginal likelihood times log-normal priors (Rasmussen & Williams
    2006, equations 5.8 and 5.9).
    """

    def __init__(self, decisions: int, counts: int) -> None:
        self._decisions, self._counts = decisions, counts
        parts = 3 if counts else 2
        alone = 1.5 / max(1, decisions)
        weights = [alone] * decisions + [1.5] * decisions + [1.5 / max(1, counts)] * counts
        self._start = np.log([*([1.0 / parts] * 2), 1.0 / parts, *weights, 0.1])
        if not counts:
            self._start[2] = -20.0  # there is no third part
        self._scale = np.concatenate([np.ones(3), np.ones(len(weights)), [1.5]])
        self.parameters = self._start.copy()

    @classmethod
    def of(cls, distances: Distances) -> GaussianProcess:
        """A new process for such distances."""
        return cls(distances.decisions.count, distances.counts.count)

    def fits(self, distances: Distances) -> bool:
        """Whether it was made for as many decisions and counts."""
        return (self._decisions, self._counts) == (distances.decisions.count, distances.counts.count)

    # -- the kernel

    def _parts(self, parameters: Array) -> tuple[Array, Array, Array, Array, float]:
        g, c = self._decisions, self._counts
        values = np.exp(parameters)
        return values[:3], values[3 : 3 + g], values[3 + g : 3 + 2 * g], values[3 + 2 * g : 3 + 2 * g + c], values[-1]

    def covariances(self, distances: Distances) -> Array:
        """The kernel (N, M) of the current parameters."""
        amplitudes, together, alone, counts, _ = self._parts(self.parameters)
        decisions = distances.decisions
        kernel = amplitudes[0] * np.exp(-decisions.sum(np.multiply, together))
        kernel += decisions.sum(_decay, alone) * (amplitudes[1] / max(1, self._decisions))
        if self._counts:
            kernel += amplitudes[2] * np.exp(-distances.counts.sum(np.multiply, counts))
        return np.asarray(kernel, dtype=np.float64)

    def _negative_log_posterior(
        self, parameters: Array, distances: Layout, targets: Array, shares: Array
    ) -> tuple[float, Array]:
        """Up to a constant, with its gradient."""
        from scipy.linalg.lapack import dpotri

        amplitudes, together, alone, counts, noise = self._parts(parameters)
        binary, share = distances.binary, amplitudes[1] / max(1, self._decisions)
        decay = np.exp(-alone)  # where d is 0 or 1, exp(-v d) is 1 - (1 - exp(-v)) d
        exponent, less = np.stack([together, np.where(binary, 1 - decay, 0.0)]) @ distances.decisions
        first = amplitudes[0] * np.exp(-exponent)
        terms = {i: np.exp(-alone[i] * distances.decisions[i]) for i in np.flatnonzero(~binary)}
        second = np.count_nonzero(binary) - less
        for term in terms.values():
            second += term
        second *= share
        third = amplitudes[2] * np.exp(-(counts[distances.used] @ distances.counts)) if self._counts else 0.0 * first
        covariance = np.zeros((len(targets), len(targets)))
        covariance.flat[distances.pairs] = first + second + third
        covariance.flat[:: len(targets) + 1] += noise * shares + _JITTER
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:  # parameters that no data could have: the line search turns back
            return 1e10, np.zeros_like(parameters)
        inverse = np.ascontiguousarray(dpotri(factor, lower=1)[0])  # its lower triangle
        weighted = targets @ inverse + inverse @ targets - np.diag(inverse) * targets
        value = 0.5 * float(targets @ weighted) + float(np.log(np.diag(factor)).sum())
        inverse -= np.outer(weighted, weighted)
        outer = inverse.flat[distances.pairs] * distances.times
        gradient = np.zeros_like(parameters)
        gradient[:3] = [0.5 * (outer @ part) for part in (first, second, third)]
        g, c = self._decisions, self._counts
        of_first, of_terms = (distances.decisions @ np.stack([outer * first, outer], axis=1)).T
        of_terms *= decay
        for i, term in terms.items():
            of_terms[i] = outer @ (distances.decisions[i] * term)
        gradient[3 : 3 + g] = -0.5 * together * of_first
        gradient[3 + g : 3 + 2 * g] = -0.5 * share * alone * of_terms
        if c:
            gradient[3 + 2 * g + distances.used] = -0.5 * counts[distances.used] * (distances.counts @ (outer * third))
        gradient[-1] = 0.5 * noise * float(np.diag(inverse) @ shares)
        away_from_prior = (parameters - self._start) / self._scale
        return value + 0.5 * float(away_from_prior @ away_from_prior), gradient + away_from_prior / self._scale

    # -- learning

    def fit(
        self, distances: Distances, targets: Array, steps: int, noise: float | None = None, shares: Array | None = None
    ) -> float:
        """Improve the parameters by some steps of L-BFGS, with the noise's variance fixed if it is given.

        Args:
            shares: (N,) of the noise's variance in each target: less than 1 in means; None: 1 everywhere.

        Returns:
            The negative logarithm of the posterior, up to a constant and without the prior of the noise: so that what
            different variances of the noise explain can be compared.
        """
        from scipy.optimize import minimize

        bounds = [(middle - _FURTHEST, middle + _FURTHEST) for middle in self._start]
        start = self.parameters.copy()
        if noise is not None:
            start[-1] = np.log(noise)
            bounds[-1] = (start[-1], start[-1])
        whole = lay_out(distances)
        found = minimize(
            self._negative_log_posterior, start, args=(whole, targets, _shares(targets, shares)), jac=True,
            method="L-BFGS-B", bounds=bounds, options={"maxiter": steps},
        )  # fmt: skip
        self.parameters = found.x
        prior = 0.5 * ((found.x[-1] - self._start[-1]) / self._scale[-1]) ** 2
        return float(found.fun) - float(prior)

    @property
    def noise(self) -> float:
        """The variance of what the decisions do not explain in one result."""
        return float(np.exp(self.parameters[-1]))

    def condition(self, kernel: Array, targets: Array, shares: Array | None = None) -> None:
        """Take these results as known, by the covariances (N, N) among them; `shares` as in `fit`."""
        from scipy.linalg import cho_solve

        amplitudes, *_, noise = self._parts(self.parameters)
        self._factor = np.linalg.cholesky(kernel + np.diag(noise * _shares(targets, shares) + _JITTER))
        self._weighted = cho_solve((self._factor, True), targets, check_finite=False)
        self._variance = float(amplitudes.sum())

    def predict(self, kernel: Array, own: float = 0.0, known: bool = False) -> tuple[Array, Array]:
        """Mean and standard deviation, without noise, from the covariances (M, N) with what is known.

        Args:
            own: variance that each genotype has of its own, beside what its decisions explain.
            known: the M are the first of what is known, and so is something of their own part.
        """
        from scipy.linalg import solve_triangular

        if known:
            kernel = kernel + own * np.eye(*kernel.shape)
        explained = solve_triangular(self._factor, kernel.T, lower=True, check_finite=False)
        variance = np.maximum(self._variance + own - (explained**2).sum(0), 1e-10)
        return kernel @ self._weighted, np.sqrt(variance)


def _decay(away: Array, weight: Array) -> Array:
    return np.asarray(np.exp(-weight * away), dtype=np.float64)


@dataclass(frozen=True)
class Layout:
    """The distances of the P pairs among N genotypes, each pair once and each genotype with itself.

    Attributes:
        pairs: (P,) where each is in a matrix (N, N), in its lower triangle.
        times: (P,) how often each is in the whole matrix: twice, but on the diagonal.
        decisions: (G, P).
        binary: (G,) which of them are 0 or 1 alone.
        counts: (C', P), of those that differ anywhere.
        used: (C',) which they are.
    """

    pairs: npt.NDArray[np.intp]
    times: Array
    decisions: Array
    binary: npt.NDArray[np.bool_]
    counts: Array
    used: npt.NDArray[np.intp]


def lay_out(distances: Distances) -> Layout:
    """The distances among some genotypes, as the likelihood needs them."""
    size = len(distances.decisions.index)
    lower, other = np.tril_indices(size)
    pairs = lower * size + other
    decisions, counts = (
        features.rows().transpose(1, 0, 2).reshape(features.count, size * size).take(pairs, axis=1)
        for features in (distances.decisions, distances.counts)
    )
    binary = ((decisions == 0) | (decisions == 1)).all(1)
    used = np.flatnonzero(counts.any(1))
    return Layout(pairs, np.where(lower == other, 1.0, 2.0), decisions, binary, counts[used], used)


def _shares(targets: Array, shares: Array | None) -> Array:
    return np.ones(len(targets)) if shares is None else shares
