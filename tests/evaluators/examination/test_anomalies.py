"""Anomalies that are planted are found, by what can see them."""

import numpy as np
import pytest
import torch

from evaluators.examination.anomalies import examine_anomalies
from tests.parts.examinations import flatten, split

ANOMALOUS = np.arange(300) % 3 == 0


def normal(count, seed):
    """Points on a plane in six dimensions, but for a little noise."""
    generator = np.random.default_rng(seed)
    return np.pad(generator.standard_normal((count, 2)), [(0, 0), (0, 4)]) + 0.05 * generator.standard_normal(
        (count, 6)
    )


def planted(size):
    examples = normal(300, 1)
    examples[ANOMALOUS, 4] += size
    return split(examples)


def test_planted_anomalies_are_told_by_all_and_chance_by_none():
    bounded = flatten((6,), 2, bound=lambda examples, samples: -examples[:, 2:].square().sum(1).expand(3, -1))
    found = examine_anomalies(bounded, split(normal(500, 0)), planted(0.5), ANOMALOUS, 2, 0)
    for name in ("", "_bound", "_pca"):
        assert found.metrics[f"anomaly_auroc{name}"] > 0.99
        assert found.metrics[f"anomaly_ap{name}"] > 0.99
    assert found.metrics["anomaly_auroc_isolation_forest"] > 0.7
    assert "100 of 300 test examples are anomalies: by chance anomaly_ap is 0.33" in found.remarks[0]
    assert found.pictures["anomalies.png"].startswith(b"\x89PNG")
    found = examine_anomalies(bounded, split(normal(500, 0)), planted(0.0), ANOMALOUS, 2, 0)
    aurocs = [value for name, value in found.metrics.items() if "auroc" in name]
    assert aurocs == [pytest.approx(0.5, abs=0.12)] * 4


def test_a_model_without_a_likelihood_has_no_bound_and_one_that_keeps_all_tells_nothing():
    train, part = split(normal(500, 0)), planted(0.5)
    found = examine_anomalies(flatten((6,)), train, part, ANOMALOUS, 6, 0).metrics
    assert "anomaly_auroc_bound" not in found
    assert found["anomaly_auroc"] == 0.5  # no example has an error
    assert found["anomaly_ap"] == pytest.approx(1 / 3)


def test_missing_values_are_no_errors():
    part = planted(0.5)
    part.examples[~torch.from_numpy(ANOMALOUS), 3] = torch.nan
    found = examine_anomalies(flatten((6,), 2), split(normal(500, 0)), part, ANOMALOUS, 2, 0).metrics
    assert found["anomaly_auroc"] > 0.99
    assert found["anomaly_auroc_pca"] > 0.99
