"""What codes say of labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from evaluators.examination.subject import without_convergence_warnings
from nas.core.evaluator import Examination

_CLUSTERED = 5_000
_NEIGHBOURS = 5
_ITERATIONS = 1_000


def make_probe(seed: int) -> Any:
    """Make a linear classifier of standardised rows: logistic regression with scikit-learn's usual penalty."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=_ITERATIONS, random_state=seed))


def examine_codes(
    codes: np.ndarray, labels: np.ndarray, test_codes: np.ndarray, test_labels: np.ndarray, seed: int
) -> Examination:
    """Measure what codes say of labels.

    ``probe_accuracy``, of a linear classifier of the codes; ``knn_accuracy``, of the 5 nearest neighbours among the
    training codes; ``kmeans_nmi`` and ``kmeans_ari``, how far as many clusters of the test codes as there are labels
    agree with these: normalised mutual information, 0 to 1, and the adjusted Rand index, 0 by chance and at most 1.

    Args:
        codes, labels: of the training part, (N, latent) and (N,).
        test_codes, test_labels: of the test part, (M, latent) and (M,).
    """
    from sklearn.neighbors import KNeighborsClassifier

    accuracy, converged = measure_probe(codes, labels, test_codes, test_labels, seed)
    remarks = [] if converged else [f"the linear probe has not converged in {_ITERATIONS:,} iterations"]
    neighbours = KNeighborsClassifier(min(_NEIGHBOURS, len(codes)))
    neighbours.fit(codes, labels)
    some = np.sort(np.random.default_rng(seed).permutation(len(test_codes))[:_CLUSTERED])
    if len(some) < len(test_codes):
        remarks.append(f"clusters are of {len(some):,} of {len(test_codes):,} test examples")
    nmi, ari = measure_clusters(test_codes[some], test_labels[some], seed)
    metrics = {
        "probe_accuracy": accuracy,
        "knn_accuracy": float(neighbours.score(test_codes, test_labels)),
        "kmeans_nmi": nmi,
        "kmeans_ari": ari,
    }
    return Examination(metrics, remarks=tuple(remarks))


def measure_probe(
    codes: np.ndarray, labels: np.ndarray, test_codes: np.ndarray, test_labels: np.ndarray, seed: int
) -> tuple[float, bool]:
    """Measure the accuracy of a linear classifier of codes, and say whether it has converged; see `examine_codes`."""
    probe = make_probe(seed)
    with without_convergence_warnings():
        probe.fit(codes, labels)
    return float(probe.score(test_codes, test_labels)), bool(probe[-1].n_iter_.max() < _ITERATIONS)


def measure_clusters(codes: np.ndarray, labels: np.ndarray, seed: int) -> tuple[float, float]:
    """Measure how far as many clusters of codes (N, latent) as there are labels (N,) agree with these: NMI and ARI."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

    count = min(len(np.unique(labels)), len(codes))
    with without_convergence_warnings():
        clusters = KMeans(count, n_init=4, random_state=seed).fit_predict(codes)
    return float(normalized_mutual_info_score(labels, clusters)), float(adjusted_rand_score(labels, clusters))
