"""Metrics of what autoencoders are used for, by which a search can choose them: measured where they are objectives."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from torch import Tensor

from evaluators.autoencoder.bounds import AutoencoderModel
from evaluators.examination.subject import Subject, choose_some, squared_errors
from nas.core.errors import Diverged
from nas.core.metric import Metric, metrics_by_name
from nas.data.dataset import Dataset, Split

METRICS = metrics_by_name(
    Metric("anomaly_auroc", "maximize"), Metric("probe_accuracy", "maximize"), Metric("kmeans_nmi", "maximize")
)
"""As evaluators.examination measures them."""
_OF_LABELS = ("probe_accuracy", "kmeans_nmi")
_FITTED = 2_000  # training examples that a probe learns from: it does so after every epoch
_SEED = 0  # the same for all candidates


def explain_lacks(data: Dataset) -> dict[str, str]:
    """Explain, by the metric's name, why it cannot be measured on the validation part; nothing where it can."""
    lacks, parts = {}, (data.train, data.validation)
    if any(part.labels is None for part in parts):
        lacks = dict.fromkeys(_OF_LABELS, "needs labels, and the data have none")
    elif any(part.labels is not None and int(part.labels.min()) == int(part.labels.max()) for part in parts):
        lacks = dict.fromkeys(_OF_LABELS, "needs two labels or more to train on and to validate with")
    if not data.normal:
        lacks["anomaly_auroc"] = "needs --normal A,B, the labels of what is normal"
    elif data.validation_anomalies is None:
        lacks["anomaly_auroc"] = "needs anomalies to validate with, and there are some in the test part alone"
    return lacks


def measure_uses(
    names: Collection[str], model: AutoencoderModel, train: Split, part: Split, anomalies: Split | None
) -> dict[str, float]:
    """Measure those of `METRICS` that are named, as far as there are labels and anomalies.

    Args:
        model: in evaluation mode, on the device of `part`.
        train: the training part, of which a probe sees 2,000 examples at most.
        part: normal examples.
        anomalies: those that are to be told from `part` by their reconstruction errors.

    Raises:
        Diverged: codes are not finite.
    """
    subject = Subject(model.encode, model.decode, model.reconstruct, device=part.examples.device)
    found = {}
    if "anomaly_auroc" in names and anomalies is not None and len(anomalies):
        errors = [squared_errors(subject.apply(subject.reconstruct, x), x) for x in (part.examples, anomalies.examples)]
        found["anomaly_auroc"] = measure_auroc(*errors)
    asked = [name for name in _OF_LABELS if name in names]
    if not asked or part.labels is None or train.labels is None:
        return found
    from evaluators.examination.latent import measure_clusters, measure_probe  # scikit-learn takes a second to import

    codes, labels = _encode(subject, part.examples), part.labels.cpu().numpy()
    if "probe_accuracy" in names:
        some = choose_some(train, _FITTED, _SEED)
        assert some.labels is not None
        seen = _encode(subject, some.examples), some.labels.cpu().numpy()
        found["probe_accuracy"] = measure_probe(*seen, codes, labels, _SEED)[0]
    if "kmeans_nmi" in names:
        found["kmeans_nmi"] = measure_clusters(codes, labels, _SEED)[0]
    return found


def measure_auroc(normal: Tensor, anomalous: Tensor) -> float:
    """Measure the area under the ROC curve of scores (N,) and (M,), which are to be higher for what is anomalous."""
    from sklearn.metrics import roc_auc_score

    truth = np.repeat([0, 1], [len(normal), len(anomalous)])
    return float(roc_auc_score(truth, np.concatenate([normal.numpy(), anomalous.numpy()])))


def _encode(subject: Subject, examples: Tensor) -> np.ndarray:
    codes = subject.codes(examples)
    if not np.isfinite(codes).all():
        raise Diverged("codes are not finite")
    return codes
