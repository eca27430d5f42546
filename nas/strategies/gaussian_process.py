"""A Gaussian process over distances between genotypes, its kernel learned from the results."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nas.strategies.encoding import Array

_JITTER = 1e-8
_ROOM = 60  # genotypes more that an array of distances has room for
_FURTHEST = 6.0  # of the logarithm of a parameter from where it starts


@dataclass(frozen=True)
class Distances:
    """Between pairs of genotypes: ``decisions`` (G, ...) and ``counts`` (C, ...), each in [0, 1].

    The pairs are those of two sets, (N, M); or those of one, (N (N - 1) / 2,), each once.
    """

    decisions: Array
    counts: Array

    def extend(self, new: Distances) -> Distances:
        """From those among a set, (N, N), and those of K more genotypes to it and them, (K, N + K): those among all."""
        return Distances(_extend(self.decisions, new.decisions), _extend(self.counts, new.counts))

    def take_pairs(self) -> Distances:
        """Of the distances among one set, (N, N), those of every pair once: what lies above the diagonal."""
        above = np.triu_indices(self.decisions.shape[-1], 1)
        return Distances(self.decisions[:, *above], self.counts[:, *above])


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
        return cls(len(distances.decisions), len(distances.counts))

    def fits(self, distances: Distances) -> bool:
        """Whether it was made for as many decisions and counts."""
        return (self._decisions, self._counts) == (len(distances.decisions), len(distances.counts))

    # -- the kernel

    def _parts(self, parameters: Array) -> tuple[Array, Array, Array, Array, float]:
        g, c = self._decisions, self._counts
        values = np.exp(parameters)
        return values[:3], values[3 : 3 + g], values[3 + g : 3 + 2 * g], values[3 + 2 * g : 3 + 2 * g + c], values[-1]

    def _kernel(self, distances: Distances, parameters: Array) -> tuple[Array, Array, Array]:
        """The three parts, of the shape of the pairs each."""
        amplitudes, together, alone, counts, _ = self._parts(parameters)
        first = amplitudes[0] * np.exp(-np.tensordot(together, distances.decisions, 1))
        second = np.zeros_like(first)
        for weight, away in zip(alone, distances.decisions, strict=True):
            second += np.exp(-weight * away)
        second *= amplitudes[1] / max(1, self._decisions)
        if not self._counts:
            return first, second, np.zeros_like(first)
        return first, second, amplitudes[2] * np.exp(-np.tensordot(counts, distances.counts, 1))

    def _negative_log_posterior(
        self, parameters: Array, pairs: Distances, targets: Array, shares: Array
    ) -> tuple[float, Array]:
        """Up to a constant, with its gradient; `pairs` are those of `Distances.take_pairs`."""
        from scipy.linalg import cho_solve
        from scipy.linalg.lapack import dpotri

        amplitudes, together, alone, counts, noise = self._parts(parameters)
        parts = self._kernel(pairs, parameters)
        above = np.triu_indices(len(targets), 1)
        covariance = np.diag(amplitudes.sum() + noise * shares + _JITTER)
        covariance.T[above] = parts[0] + parts[1] + parts[2]  # a decomposition reads the lower triangle alone
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError:  # parameters that no data could have: the line search turns back
            return 1e10, np.zeros_like(parameters)
        inverse = dpotri(factor, lower=1)[0]  # its lower triangle
        weighted = cho_solve((factor, True), targets, check_finite=False)
        value = 0.5 * float(targets @ weighted) + float(np.log(np.diag(factor)).sum())
        diagonal = np.diag(inverse) - weighted**2
        outer = inverse.T[above] - weighted[above[0]] * weighted[above[1]]
        gradient = np.zeros_like(parameters)
        # a pair counts twice in the derivative, (i, j) and (j, i), which the formula's half undoes
        gradient[:3] = [outer @ part for part in parts] + 0.5 * amplitudes * diagonal.sum()
        g, c = self._decisions, self._counts
        gradient[3 : 3 + g] = -together * (pairs.decisions @ (outer * parts[0]))
        share = amplitudes[1] / max(1, g)
        for i, (weight, away) in enumerate(zip(alone, pairs.decisions, strict=True)):
            gradient[3 + g + i] = -share * weight * (outer @ (away * np.exp(-weight * away)))
        if c:
            gradient[3 + 2 * g : 3 + 2 * g + c] = -counts * (pairs.counts @ (outer * parts[2]))
        gradient[-1] = 0.5 * noise * float(diagonal @ shares)
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
        found = minimize(
            self._negative_log_posterior, start, args=(distances.take_pairs(), targets, _shares(targets, shares)),
            jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": steps},
        )  # fmt: skip
        self.parameters = found.x
        prior = 0.5 * ((found.x[-1] - self._start[-1]) / self._scale[-1]) ** 2
        return float(found.fun) - float(prior)

    @property
    def noise(self) -> float:
        """The variance of what the decisions do not explain in one result."""
        return float(np.exp(self.parameters[-1]))

    def condition(self, distances: Distances, targets: Array, shares: Array | None = None) -> None:
        """Take these results as known: ``distances`` among them, (N, N, ...); `shares` as in `fit`."""
        from scipy.linalg import cho_solve

        amplitudes, *_, noise = self._parts(self.parameters)
        first, second, third = self._kernel(distances, self.parameters)
        self._covariance = first + second + third
        self._factor = np.linalg.cholesky(self._covariance + np.diag(noise * _shares(targets, shares) + _JITTER))
        self._weighted = cho_solve((self._factor, True), targets, check_finite=False)
        self._variance = float(amplitudes.sum())

    def predict(self, distances: Distances, own: float = 0.0) -> tuple[Array, Array]:
        """Mean and standard deviation, without noise, from the distances (M, N) to what is known.

        Args:
            own: variance that each genotype has of its own, beside what its decisions explain.
        """
        first, second, third = self._kernel(distances, self.parameters)
        return self._predict_from(first + second + third, own)

    def predict_known(self, own: float = 0.0) -> tuple[Array, Array]:
        """Those of what is known, of whose own part something is known too."""
        return self._predict_from(self._covariance + own * np.eye(len(self._covariance)), own)

    def _predict_from(self, kernel: Array, own: float) -> tuple[Array, Array]:
        from scipy.linalg import solve_triangular

        explained = solve_triangular(self._factor, kernel.T, lower=True, check_finite=False)
        variance = np.maximum(self._variance + own - (explained**2).sum(0), 1e-10)
        return kernel @ self._weighted, np.sqrt(variance)


def _extend(old: Array, new: Array) -> Array:
    size, every = old.shape[1], new.shape[2]
    room = old if old.base is None else old.base
    if room.shape[1] < every:  # with room for more: to allocate tens of megabytes takes longer than to fill them
        room = np.empty((len(new), every + _ROOM, every + _ROOM))
        room[:, :size, :size] = old
    room[:, size:every, :every] = new
    room[:, :size, size:every] = new[:, :, :size].transpose(0, 2, 1)
    return room[:, :every, :every]


def _shares(targets: Array, shares: Array | None) -> Array:
    return np.ones(len(targets)) if shares is None else shares
