"""What codes say of labels: all, nothing, and few labels of them."""

import numpy as np
import pytest

from evaluators.examination import latent
from evaluators.examination.latent import examine_codes
from evaluators.examination.transfer import LABELS, examine_transfer
from tests.parts.examinations import numbered

LABEL, OTHER = numbered(400), numbered(300, seed=1)


def one_hot(labels, noise=0.0, seed=0):
    return np.eye(4)[labels] + noise * np.random.default_rng(seed).standard_normal((len(labels), 4))


def test_codes_that_are_the_label_say_all_of_it():
    found = examine_codes(one_hot(LABEL), LABEL, one_hot(OTHER), OTHER, 0)
    assert found.metrics == {name: pytest.approx(1) for name in found.metrics}
    assert list(found.metrics) == ["probe_accuracy", "knn_accuracy", "kmeans_nmi", "kmeans_ari"]
    assert found.remarks == ()


def test_random_codes_say_nothing():
    generator = np.random.default_rng(0)
    codes, others = generator.standard_normal((400, 6)), generator.standard_normal((300, 6))
    found = examine_codes(codes, LABEL, others, OTHER, 0).metrics
    assert found["probe_accuracy"] == pytest.approx(1 / 4, abs=0.08)
    assert found["knn_accuracy"] == pytest.approx(1 / 4, abs=0.08)
    assert found["kmeans_nmi"] < 0.05
    assert abs(found["kmeans_ari"]) < 0.03


def test_neighbours_see_what_no_line_separates():
    def ring(labels, seed):
        generator = np.random.default_rng(seed)
        angles, radii = generator.uniform(0, 2 * np.pi, len(labels)), 1 + labels + generator.normal(0, 0.1, len(labels))
        return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)

    labels, others = LABEL % 2, OTHER % 2
    found = examine_codes(ring(labels, 0), labels, ring(others, 1), others, 0).metrics
    assert found["probe_accuracy"] < 0.65
    assert found["knn_accuracy"] > 0.95


def test_codes_that_are_all_the_same_are_no_fault_and_say_nothing():
    found = examine_codes(np.zeros((400, 3)), LABEL, np.zeros((300, 3)), OTHER, 0).metrics
    assert found["probe_accuracy"] == pytest.approx(1 / 4, abs=0.02)
    assert found["kmeans_nmi"] == found["kmeans_ari"] == 0


def test_what_was_measured_on_a_part_or_has_not_converged_is_said(monkeypatch):
    monkeypatch.setattr(latent, "_CLUSTERED", 100)
    monkeypatch.setattr(latent, "_ITERATIONS", 2)
    remarks = examine_codes(one_hot(LABEL, 1.0), LABEL, one_hot(OTHER, 1.0), OTHER, 0).remarks
    assert remarks == (
        "the linear probe has not converged in 2 iterations", "clusters are of 100 of 300 test examples"
    )  # fmt: skip


def test_few_labels_suffice_for_codes_that_are_the_label_and_not_for_noise_around_it():
    rows, others = one_hot(LABEL, 3.0, seed=1), one_hot(OTHER, 3.0, seed=2)
    found = examine_transfer(one_hot(LABEL), rows, LABEL, one_hot(OTHER), others, OTHER, 0)
    assert found.metrics["transfer_accuracy"] == 1
    assert found.metrics["transfer_accuracy_deviation"] == 0
    assert 0.2 < found.metrics["transfer_accuracy_raw"] < 0.5
    assert found.metrics["transfer_accuracy_raw_deviation"] > 0
    again = examine_transfer(one_hot(LABEL), rows, LABEL, one_hot(OTHER), others, OTHER, 0)
    assert again == found


def test_a_classifier_of_few_labels_sees_as_many_of_each_class_and_no_more(monkeypatch):
    seen = []

    class Probe:
        def fit(self, rows, labels):
            seen.append(np.unique(labels, return_counts=True)[1].tolist())
            return self

        def score(self, rows, labels):
            return 0.0

    monkeypatch.setattr("evaluators.examination.transfer.make_probe", lambda seed: Probe())
    rare = np.concatenate([LABEL[LABEL < 3], [3] * 4])
    found = examine_transfer(one_hot(rare), one_hot(rare), rare, one_hot(OTHER), one_hot(OTHER), OTHER, 0)
    assert seen == [[LABELS] * 3 + [4]] * 20
    assert "4 training examples only" in found.remarks[0]
