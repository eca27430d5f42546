"""Codes that are the factors, and codes that mix them."""

import math

import numpy as np
import pytest

from evaluators.examination.disentanglement import (
    completeness,
    disentanglement,
    examine_factors,
    mutual_information_gap,
)
from evaluators.examination.effort import Effort
from evaluators.examination.examination import examine_uses
from nas.data.loading import load_arrays
from tests.parts.examinations import flatten


def grid(times=1):
    """All combinations of two factors with four values each, (16 * times, 2)."""
    return np.tile(np.array([[a, b] for a in range(4) for b in range(4)], dtype=float), (times, 1))


def rotate(codes):
    turn = np.array([[1, 1], [1, -1]]) / math.sqrt(2)
    return codes @ turn


def test_the_gap_by_hand():
    factors = grid()
    assert mutual_information_gap(factors, factors) == pytest.approx(1)
    assert mutual_information_gap(5 - 3 * factors[:, ::-1], factors) == pytest.approx(
        1
    )  # order and scale do not matter
    assert mutual_information_gap(factors[:, [0, 0, 1, 1]], factors) == pytest.approx(0)  # the second knows as much
    assert mutual_information_gap(rotate(factors), factors) == pytest.approx(0, abs=1e-9)
    assert mutual_information_gap(factors[:, :1], factors) == pytest.approx(0.5)  # nothing knows of the second factor
    halves = np.stack([factors[:, 0] // 2, factors[:, 0], factors[:, 1]], axis=1)
    assert mutual_information_gap(halves, factors) == pytest.approx((0.5 + 1) / 2)  # one bit of two


def test_continuous_codes_are_put_into_bins():
    factors = np.random.default_rng(0).uniform(size=(5000, 2))
    assert mutual_information_gap(factors, factors) > 0.95
    assert abs(mutual_information_gap(rotate(factors), factors)) < 0.05


def test_disentanglement_and_completeness_by_hand():
    assert disentanglement(np.eye(3)) == completeness(np.eye(3)) == 1
    assert disentanglement(np.ones((2, 2))) == pytest.approx(0)
    twice = np.array([[0.5, 0], [0.5, 0], [0, 1]])  # two latents share a factor
    assert disentanglement(twice) == 1
    assert completeness(twice) == pytest.approx((1 - math.log(2) / math.log(3) + 1) / 2)
    both = np.array([[1.0, 1.0], [0, 0]])  # one latent holds both factors, and the other nothing
    assert disentanglement(both) == pytest.approx(0)
    assert completeness(both) == 1
    assert disentanglement(np.zeros((2, 2))) == 0


def test_forests_find_which_latents_matter():
    factors, generator = grid(30), np.random.default_rng(0)
    codes = np.column_stack([factors[:, 1], generator.standard_normal(len(factors)), factors[:, 0]])
    found = examine_factors(codes, factors, codes[:160], factors[:160], 0)
    assert found.metrics == {
        name: pytest.approx(1, abs=0.01) for name in ("dci_disentanglement", "dci_completeness", "dci_informativeness")
    } | {"mig": pytest.approx(1, abs=0.15)}  # of few codes noise seems to know something
    continuous = generator.uniform(size=(600, 2))
    found = examine_factors(rotate(continuous), continuous, rotate(continuous[:100]), continuous[:100], 0).metrics
    assert found["dci_disentanglement"] < 0.05
    assert found["dci_informativeness"] > 0.9
    assert found["mig"] < 0.2


def test_factors_that_do_not_vary_are_left_out():
    factors = np.column_stack([grid(5), np.ones(80)])
    found = examine_factors(grid(5), factors, grid(5), factors, 0)
    assert found.metrics["mig"] == pytest.approx(1)
    assert found.remarks == ("factors 2 do not vary and are left out",)
    assert not examine_factors(grid(), np.ones((16, 1)), grid(), np.ones((16, 1)), 0).metrics


def test_an_examination_judges_by_the_factors_of_the_data():
    factors = np.random.default_rng(0).permutation(grid(20))
    data = load_arrays({"x_train": np.column_stack([factors, np.zeros(320)]), "f_train": factors})
    found = examine_uses(flatten((3,), 2), data, 0, bound_samples=3, effort=Effort(quick=True))
    assert found.uses["disentanglement"] == ("mig", "dci_disentanglement", "dci_completeness", "dci_informativeness")
    assert found.metrics["mig"] > 0.9
    assert found.metrics["dci_disentanglement"] > 0.99
