"""Metrics of uses that a search can choose by."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from evaluators.autoencoder.task import AutoencoderTask
from evaluators.autoencoder.uses import explain_lacks, measure_auroc, measure_uses
from nas.core.errors import Diverged
from nas.data.dataset import Dataset
from nas.data.splitting import keep_normal
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.parts.examinations import flatten, numbered, split


def made(labelled=True, normal=(), classes=3):
    """Vectors whose first three values tell their label, and whose other three are only far from 0 for label 2."""
    labels = numbered(300, classes)
    examples = np.random.default_rng(0).uniform(0, 0.2, (300, 6))
    examples[np.arange(300), labels] += 1
    examples[labels == 2, 3:] += 1
    rows = (slice(0, 150), slice(150, 220), slice(220, 300))
    parts = [split(examples[some], labels[some] if labelled else None) for some in rows]
    return keep_normal(Dataset("made", *parts, tuple("012"[:classes]) if labelled else ()), normal)


def test_labels_are_read_from_codes_and_anomalies_told_by_errors():
    data, names = made(normal=["0", "1"]), ("anomaly_auroc", "probe_accuracy", "kmeans_nmi")
    found = measure_uses(names, flatten((6,), 3), data.train, data.validation, data.validation_anomalies)
    assert found == {"anomaly_auroc": 1.0, "probe_accuracy": 1.0, "kmeans_nmi": pytest.approx(1)}
    blind = flatten((6,), 6)  # which gives everything back
    found = measure_uses(["anomaly_auroc"], blind, data.train, data.validation, data.validation_anomalies)
    assert found == {"anomaly_auroc": 0.5}
    unlabelled = made(labelled=False)
    assert measure_uses(names, blind, unlabelled.train, unlabelled.validation, None) == {}


def test_the_area_under_the_curve_is_the_share_of_pairs_in_order():
    normal, anomalous = torch.tensor([0.1, 0.4, 0.35]), torch.tensor([0.3, 0.8])
    assert measure_auroc(normal, anomalous) == pytest.approx(4 / 6)


def test_codes_that_are_not_finite_are_a_divergence():
    data = made()
    broken = replace(flatten((6,), 3), encode=lambda examples: examples / 0)
    with pytest.raises(Diverged, match="codes are not finite"):
        measure_uses(["kmeans_nmi"], broken, data.train, data.validation, None)


@pytest.mark.parametrize(
    ("data", "lacks"),
    [
        (made(), {"anomaly_auroc": "needs --normal"}),
        (made(normal=["0", "1"]), {}),
        (made(normal=["2"]), dict.fromkeys(("probe_accuracy", "kmeans_nmi"), "needs two labels")),
        (
            made(labelled=False),
            {"probe_accuracy": "needs labels", "kmeans_nmi": "needs labels", "anomaly_auroc": "needs --normal"},
        ),
    ],
)
def test_what_data_do_not_allow_is_no_objective_and_it_is_said_why(data, lacks):
    found = explain_lacks(data)
    assert set(found) == set(lacks)
    assert all(found[name].startswith(why) for name, why in lacks.items())
    evaluator = AutoencoderTask.make_evaluator(AutoencoderSpace().shaped((6,)), data, epochs=1)
    assert {*evaluator.objectives} & {"anomaly_auroc", "probe_accuracy", "kmeans_nmi"} == {
        "anomaly_auroc", "probe_accuracy", "kmeans_nmi"
    } - {*lacks}  # fmt: skip
    assert all(evaluator.metrics[name].caveat for name in lacks)
