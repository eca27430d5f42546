"""A classifier that has seen few labels: on codes, and on the examples themselves."""

from __future__ import annotations

import numpy as np

from evaluators.examination.latent import make_probe
from evaluators.examination.subject import without_convergence_warnings
from nas.core.evaluator import Examination

LABELS = 10
"""How many labels of each class a classifier sees."""
_DRAWS = 10


def examine_transfer(
    codes: np.ndarray,
    rows: np.ndarray,
    labels: np.ndarray,
    test_codes: np.ndarray,
    test_rows: np.ndarray,
    test_labels: np.ndarray,
    seed: int,
) -> Examination:
    """Measure the accuracy of a linear classifier of 10 labels a class, drawn 10 times from the training part.

    ``transfer_accuracy`` is that on codes, ``transfer_accuracy_raw`` that on the examples with the same labels, and
    each has a ``_deviation``, the standard deviation over the draws.

    Args:
        codes, rows, labels: of the training part, (N, latent), (N, D) and (N,).
        test_codes, test_rows, test_labels: of the test part.
    """
    generator, found = np.random.default_rng(seed), []
    for _ in range(_DRAWS):
        order = generator.permutation(len(labels))
        few = np.concatenate([order[labels[order] == label][:LABELS] for label in np.unique(labels)])
        accuracies = []
        for seen, unseen in ((codes, test_codes), (rows, test_rows)):
            with without_convergence_warnings():
                accuracies.append(make_probe(seed).fit(seen[few], labels[few]).score(unseen, test_labels))
        found.append(accuracies)
    (mean, raw), (deviation, raw_deviation) = np.mean(found, axis=0), np.std(found, axis=0)
    metrics = {
        "transfer_accuracy": float(mean),
        "transfer_accuracy_deviation": float(deviation),
        "transfer_accuracy_raw": float(raw),
        "transfer_accuracy_raw_deviation": float(raw_deviation),
    }
    fewest = int(np.unique(labels, return_counts=True)[1].min())
    remark = f"some labels have {fewest} training examples only, of which transfer sees them all"
    return Examination(metrics, remarks=(remark,) if fewest < LABELS else ())
