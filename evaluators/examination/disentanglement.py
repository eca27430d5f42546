"""Whether each latent stands for one of the factors that the examples were made of."""

from __future__ import annotations

import numpy as np

from nas.core.evaluator import Examination

_BINS = 20
"""Of numbers with more different values, as Locatello et al. 2019 have them."""
_TREES = 20


def examine_factors(
    codes: np.ndarray, factors: np.ndarray, test_codes: np.ndarray, test_factors: np.ndarray, seed: int
) -> Examination:
    """Measure how far codes and known factors are the same but for their order and scale, 1 at best.

    ``mig``, of the test codes; see `mutual_information_gap`. ``dci_disentanglement``, ``dci_completeness``, of how
    much each latent matters to random forests that predict a factor (see `disentanglement` and `completeness`), and
    ``dci_informativeness``, the mean over factors of how well they predict: accuracy, or R^2 of one that has more than
    20 different values or fractions. The forests learn from the training codes and are tested on others.

    Args:
        codes, factors: of the training part, (N, latents) and (N, K).
        test_codes, test_factors: of the test part, (M, latents) and (M, K).
    """
    varying = [k for k in range(factors.shape[1]) if all(len(np.unique(f[:, k])) > 1 for f in (factors, test_factors))]
    constant = [str(k) for k in range(factors.shape[1]) if k not in varying]
    remarks = [f"factors {', '.join(constant)} do not vary and are left out"] if constant else []
    if not varying:
        return Examination(remarks=("no factor varies: nothing to disentangle",))
    fitted = [_fit_forest(codes, factors[:, k], test_codes, test_factors[:, k], seed) for k in varying]
    importances = np.stack([importance for importance, _ in fitted], axis=1)
    metrics = {
        "mig": mutual_information_gap(test_codes, test_factors[:, varying]),
        "dci_disentanglement": disentanglement(importances),
        "dci_completeness": completeness(importances),
        "dci_informativeness": float(np.mean([score for _, score in fitted])),
    }
    return Examination(metrics, remarks=tuple(remarks))


def mutual_information_gap(codes: np.ndarray, factors: np.ndarray) -> float:
    """Compute the mutual information gap of codes (N, latents) and factors (N, K), each of which varies.

    Chen et al. 2018, equation 6: the mean over factors of by how much the latent that has most mutual information with
    it has more than the second, in units of the factor's entropy. Numbers with more than 20 different values are put
    into 20 bins of one width. A single latent has no second.
    """
    latents = [_number_bins(codes[:, latent]) for latent in range(codes.shape[1])]
    gaps = []
    for factor in (_number_bins(factors[:, k]) for k in range(factors.shape[1])):
        shared = sorted((_mutual_information(latent, factor) for latent in latents), reverse=True)
        gaps.append((shared[0] - (shared[1] if len(shared) > 1 else 0.0)) / _entropy(np.bincount(factor)))
    return float(np.mean(gaps))


def disentanglement(importances: np.ndarray) -> float:
    """Compute how far each latent matters to one factor alone, from importances (latents, K), none negative.

    Eastwood & Williams 2018, section 2: of a latent it is 1 less the entropy, with K as its base, of its importances as
    shares; of all it is the mean weighted by the latents' importances.
    """
    return _weigh(importances)


def completeness(importances: np.ndarray) -> float:
    """Compute how far one latent alone matters to each factor, from importances (latents, K), none negative.

    Eastwood & Williams 2018, section 2: as `disentanglement`, with latents and factors exchanged.
    """
    return _weigh(importances.T)


def _weigh(importances: np.ndarray) -> float:
    weights = importances.sum(axis=1)
    used = weights > 0
    if not used.any():  # nothing predicts anything
        return 0.0
    if importances.shape[1] == 1:
        return 1.0
    entropies = [_entropy(row) / np.log(len(row)) for row in importances[used]]
    return float(np.average(1 - np.array(entropies), weights=weights[used]))


def _fit_forest(
    codes: np.ndarray, factor: np.ndarray, test_codes: np.ndarray, test_factor: np.ndarray, seed: int
) -> tuple[np.ndarray, float]:
    """Fit a random forest that predicts a factor (N,), and give the latents' importances and how well it predicts."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    classes = len(np.unique(factor)) <= _BINS and bool((factor == np.rint(factor)).all())
    kind = RandomForestClassifier if classes else RandomForestRegressor
    # every split looks at all latents, as one that must do without the right one would lend its importance to others
    forest = kind(_TREES, max_features=None, random_state=seed).fit(codes, factor)
    return forest.feature_importances_, float(forest.score(test_codes, test_factor))


def _number_bins(values: np.ndarray) -> np.ndarray:
    """Give values (N,) as the numbers of their bins, from 0."""
    known, places = np.unique(values, return_inverse=True)
    if len(known) <= _BINS:
        return np.asarray(places)
    edges = np.linspace(known[0], known[-1], _BINS + 1)
    return np.asarray(np.digitize(values, edges[1:-1]))


def _mutual_information(first: np.ndarray, second: np.ndarray) -> float:
    """Compute the mutual information of whole numbers (N,) and (N,), from 0, in nats."""
    table = np.zeros((first.max() + 1, second.max() + 1))
    np.add.at(table, (first, second), 1)
    return _entropy(table.sum(1)) + _entropy(table.sum(0)) - _entropy(table.ravel())


def _entropy(counts: np.ndarray) -> float:
    """Compute the entropy of what is counted, in nats."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
