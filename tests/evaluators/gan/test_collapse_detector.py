"""When a supernet of pairs has collapsed, and that it begins anew with its alphas."""

import json
import math

import pytest
import torch

from evaluators.gan.collapse_detector import CollapseDetector
from evaluators.gan.supernet import MOST_RESETS, PairSupernet
from nas.core.errors import Collapsed
from tests.parts.pair_supernets import MEMORY, PART, numbers, supernet


def test_a_collapsed_supernet_begins_anew_with_its_alphas(monkeypatch):
    net = supernet(epochs=6)
    deviations = iter([1.0, 1.0, 0.1, 0.1, 1.0, 1.0])
    monkeypatch.setattr(PairSupernet, "_deviation", lambda self: next(deviations))
    monkeypatch.setattr("evaluators.gan.collapse_detector._WINDOW", 1)
    net._begin(0)
    seen, models = [], []
    for measurement in net.measurements():
        seen.append(measurement)
        models.append(net.model)
    assert [m.metrics["resets"] for m in seen] == [0, 0, 0, 1, 1, 1]
    assert len({id(model) for model in models}) == 2
    history = json.loads(seen[-1].artifacts["alphas.json"])
    assert [row["epoch"] for row in history if "collapsed" in row] == [4]
    assert "sample_deviation 0.1" in history[3]["collapsed"]
    assert seen[-1].derived


def test_the_reset_keeps_alphas_and_nothing_else():
    net = supernet()
    net.training.epoch(PART, MEMORY)
    alphas, weights = net.training.architecture.alphas(), numbers(net.training._weights(net.model))
    net._restart(1, "they are all alike")
    assert net.training.architecture.alphas() == alphas
    assert net.training.epochs_done == 1
    assert all(not optimiser.state for optimiser in net.training.optimisers.values())
    fresh = numbers(net.training._weights(net.model))
    changed = [not torch.equal(one, other) for one, other in zip(weights, fresh, strict=True) if one.dim() > 1]
    assert all(changed)
    net.training.epoch(PART, MEMORY)
    assert net.training.architecture.alphas() != alphas  # they go on learning, not the old ones' copy


def test_a_supernet_that_collapses_again_and_again_fails():
    net = supernet(epochs=40)
    for reset in range(MOST_RESETS):
        net._restart(1, "alike")
        assert net.resets == reset + 1
    with pytest.raises(Collapsed, match="4th time, in epoch 1: alike"):
        net._restart(1, "alike")


def watched(watch, rows, deviation=1.0):
    return watch.find_collapse(torch.tensor(rows), deviation)


def flat(updates):
    return [[1.0 + 0.01 * (i % 2), 2.0 + math.sin(i)] for i in range(updates)]


def lively(updates):
    return [[1.0 + math.cos(i), 2.0 + math.sin(i)] for i in range(updates)]


def test_a_loss_that_stays_is_a_collapse_over_500_updates_or_a_quarter_of_the_training():
    watch = CollapseDetector("hinge", 100, 100, 1.0)  # 10,000 updates: 500
    assert watched(watch, lively(100)) is None
    assert [watched(watch, flat(100)) is None for _ in range(5)] == [True] * 4 + [False]
    reason = watched(CollapseDetector("hinge", 100, 8, 1.0), flat(200))  # 800 updates: 200
    assert reason is not None
    assert "discriminator's loss has a variance of 2.5e-05, under 0.001, over 200 updates" in reason
    assert watched(CollapseDetector("hinge", 100, 8, 1.0), flat(199)) is None
    assert watched(CollapseDetector("hinge", 1, 8, 1.0), flat(49)) is None  # 50 at least
    turned = [[b, a] for a, b in flat(200)]
    assert "generator's loss" in watched(CollapseDetector("hinge", 100, 8, 1.0), turned)
    within = lively(30) + flat(200) + lively(30)  # at whatever moment of an epoch
    assert watched(CollapseDetector("hinge", 100, 8, 1.0), within) is not None


def test_losses_without_a_scale_are_not_looked_at():
    for loss in ("wasserstein_clipping", "wasserstein_gradient_penalty"):
        assert watched(CollapseDetector(loss, 100, 8, 1.0), flat(200)) is None
    for loss in ("least_squares", "relativistic"):
        assert watched(CollapseDetector(loss, 100, 8, 1.0), flat(200)) is not None


def test_samples_that_are_alike_are_a_collapse_twice_in_a_row_but_of_a_young_supernet():
    watch = CollapseDetector("hinge", 9, 200, 1.0)  # 600 updates are a third
    alike = [1.0, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1]
    assert [watched(watch, lively(200), value) is not None for value in alike] == [False] * 6 + [True]
    watch = CollapseDetector("hinge", 9, 100, 1.0)  # and here 300, but 500 it must be
    assert [watched(watch, lively(100), 0.1) is not None for _ in range(7)] == [False] * 6 + [True]
