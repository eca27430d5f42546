"""Supernets of autoencoders, trained and measured."""

import dataclasses
import json
import math

import pytest
import torch

from evaluators.autoencoder.task import AutoencoderTask
from nas.core.errors import Diverged, UserError
from nas.core.job import TrainSupernet
from nas.core.supernet import SupernetPlan
from nas.core.trial import Proposal, Trial
from nas.testing.spaces import disturb_global_generators
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import tiny_data
from tests.parts.supernets import FEW, FIXED, SPACE, base_of


def trained(seed=1, space=FEW, **options):
    plan = SupernetPlan(**{"epochs": 3, "learning_rate": 0.05, "samples": 5} | options)
    evaluator = AutoencoderTask.make_evaluator(space, tiny_data(), epochs=1)
    return list(evaluator.evaluate(Trial(0, Proposal(base_of(space), job=TrainSupernet(plan)), seed)))


@pytest.fixture(scope="module")
def measured():
    return trained()


def test_a_supernet_is_measured_every_epoch_and_names_what_is_derived(measured):
    assert [m.epoch for m in measured] == [1, 2, 3]
    assert [len(m.derived) for m in measured[:2]] == [1, 1]
    assert 2 <= len(measured[-1].derived) <= 6
    for measurement in measured:
        assert {"mse", "skips", "entropy", "training_loss", "validation_loss", "parameters"} <= set(measurement.metrics)
        assert all(math.isfinite(value) for value in measurement.metrics.values())
        assert "weights.safetensors" not in measurement.artifacts
        for genotype in measurement.derived:
            FEW.validate(genotype)
    history = json.loads(measured[-1].artifacts["alphas.json"])
    assert [row["epoch"] for row in history] == [1, 2, 3]
    last = FEW.derive(base_of(FEW), history[-1]["alphas"])
    assert (last.genotype, last.skips) == (measured[-1].derived[0], measured[-1].metrics["skips"])


def test_the_alphas_leave_the_middle_and_the_supernet_learns(measured):
    assert measured[-1].metrics["entropy"] < measured[0].metrics["entropy"] < math.log(4)
    assert measured[-1].metrics["mse"] < measured[0].metrics["mse"]
    history = json.loads(measured[-1].artifacts["alphas.json"])
    assert max(abs(value) for row in history[-1]["alphas"].values() for value in row.values()) > 0.1


def test_the_same_trial_trains_the_same_supernet_whatever_the_global_generators(measured):
    disturb_global_generators(9)
    before = torch.get_rng_state()
    again = trained()
    assert torch.equal(before, torch.get_rng_state())
    assert [m.derived for m in again] == [m.derived for m in measured]
    assert again[-1].artifacts["alphas.json"] == measured[-1].artifacts["alphas.json"]
    assert trained(seed=2)[-1].artifacts["alphas.json"] != measured[-1].artifacts["alphas.json"]


def test_orders_and_relaxations_differ(measured):
    found = {m[-1].artifacts["alphas.json"] for m in (measured, trained(order=2), trained(relaxation="gumbel"))}
    assert len(found) == 3


def test_while_the_weights_warm_up_the_alphas_rest():
    measurements = trained(epochs=2, warm_up=1)
    first, second = json.loads(measurements[-1].artifacts["alphas.json"])
    assert max(abs(value) for row in first["alphas"].values() for value in row.values()) < 0.01
    assert max(abs(value) for row in second["alphas"].values() for value in row.values()) > 0.01
    assert measurements[0].derived == ()


def test_the_training_ends_after_two_epochs_of_too_many_skips():
    only = SPACE.restrict({"encoder_cell.nodes": (2,), "*_cell.*.operation0": ("skip", "max_pool_3x3"),
                           "*_cell.*.operation1": ("none", "skip")})  # fmt: skip
    measurements = trained(space=only, epochs=6, max_skips=0)
    assert 2 <= measurements[-1].epoch < 6
    assert measurements[-1].metrics["skips"] > 0
    kept = measurements[-1].derived[0].content
    assert sum(value == "skip" for site, value in kept.items() if "operation" in site) <= 1


def test_families_and_normalisations_have_supernets():
    for family in ("denoising", "variational"):
        for norm in ("none", "group"):
            fixed = FIXED | {"family": (family,), "normalisation": (norm,), "encoder_cell.nodes": (1,)}
            if family == "variational":
                fixed["likelihood"] = ("continuous_bernoulli",)
                del fixed["loss"]
            space = AutoencoderSpace().conditioned(None).restrict(fixed)
            measurements = trained(space=space, epochs=1, order=2)
            assert ("elbo" in measurements[-1].metrics) == (family == "variational")


def test_divergence_is_said():
    class Exploding(AutoencoderSpace):
        def hyperparameters(self, genotype):
            return {**super().hyperparameters(genotype), "learning_rate": 1e30, "optimiser": "rmsprop"}

    space = Exploding().restrict(
        FIXED | {"encoder_cell.nodes": (1,), "normalisation": ("none",), "output": ("linear",)}
    )
    with pytest.raises(Diverged, match="supernet"):
        trained(space=space)


def test_a_plan_is_the_same_after_json():
    plan = SupernetPlan(3, order=2, relaxation="gumbel", temperature=(5.0, 0.5), max_skips=1, learning_rate=0.01)
    assert SupernetPlan.of(json.loads(json.dumps(dataclasses.asdict(plan)))) == plan


def test_what_a_plan_leaves_open_is_completed():
    plan = SupernetPlan(None, relaxation=None, warm_up=None)
    with pytest.raises(ValueError, match="how long"):
        _ = plan.schedule
    done = plan.completed(50, "gumbel")
    assert (done.schedule, done.relaxation) == ((50, 15), "gumbel")
    assert SupernetPlan(8, warm_up=2).completed(50, "gumbel") == SupernetPlan(8, warm_up=2)
    with pytest.raises(UserError, match=r"--set warm_up 50: the supernet has 50 epochs; allowed: 0 to 49"):
        SupernetPlan(None, warm_up=50).completed(50, "gumbel")
