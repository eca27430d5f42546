"""Telling normal examples from the rest, by a model that was trained on normal ones alone."""

from __future__ import annotations

import numpy as np

from evaluators.autoencoder.baselines import reconstruct_linearly
from evaluators.examination.figures import draw_distributions
from evaluators.examination.subject import Subject, as_rows, squared_errors
from nas.core.evaluator import Examination
from nas.data.dataset import Split

_SAMPLES = 4  # codes of an example that its likelihood is bounded by


def examine_anomalies(
    subject: Subject, train: Split, part: Split, anomalous: np.ndarray, latent: int, seed: int, *, pictured: bool = True
) -> Examination:
    """Measure how well scores tell anomalies: the area under the ROC curve and average precision, 1 at best.

    ``anomaly_auroc`` and ``anomaly_ap`` are by the reconstruction error; with ``_bound``, of variational models, by
    minus the importance-weighted bound of the log-likelihood; with ``_isolation_forest`` (Liu et al. 2008) and
    ``_pca``, the reconstruction error of as many principal components as a code has values, by what is simpler.

    Args:
        train: normal examples.
        part: others, normal and not.
        anomalous: which of `part` are anomalies, (N,) bool.
        latent: the size of a code.
        pictured: whether ``anomalies.png`` is drawn.
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    scores = {"": squared_errors(subject.apply(subject.reconstruct, part.examples), part.examples).numpy()}
    if subject.bound is not None:
        scores["_bound"] = -subject.bounds(part.examples, _SAMPLES)[2].numpy()
    seen, unseen = as_rows(train.examples, train.examples), as_rows(part.examples, train.examples)
    scores["_isolation_forest"] = _score_by_forest(seen, unseen, seed)
    rebuilt = reconstruct_linearly(train.examples.cpu(), part.examples.cpu(), latent)
    scores["_pca"] = squared_errors(rebuilt, part.examples).numpy()
    metrics = {}
    for name, score in scores.items():
        metrics[f"anomaly_auroc{name}"] = float(roc_auc_score(anomalous, score))
        metrics[f"anomaly_ap{name}"] = float(average_precision_score(anomalous, score))
    titles = {"": "reconstruction error", "_bound": "minus the bound, nats"}
    panels = {
        title: {"normal": scores[name][~anomalous], "anomalies": scores[name][anomalous]}
        for name, title in titles.items()
        if name in scores
    }
    chance = f"by chance anomaly_ap is {anomalous.mean():.2g}"
    share = f"{anomalous.sum():,} of {len(anomalous):,} test examples are anomalies: {chance}"
    pictures = {"anomalies.png": draw_distributions(panels)} if pictured else {}
    return Examination(metrics, pictures, (share,))


def _score_by_forest(seen: np.ndarray, unseen: np.ndarray, seed: int) -> np.ndarray:
    from sklearn.ensemble import IsolationForest

    scores: np.ndarray = -IsolationForest(random_state=seed).fit(seen).score_samples(unseen)
    return scores
