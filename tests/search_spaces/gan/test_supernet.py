"""A whole supernet of pairs: what is measured, and the candidates it derives."""

import copy
import json
import math

import torch

from evaluators.gan.supernet import PairSupernet
from evaluators.gan.training import RECIPE
from nas.core.supernet import SupernetPlan
from nas.testing.spaces import disturb_global_generators
from tests.parts.pair_supernets import BASE, MEMORY, PART, SPACE, Narrow, Scores, supernet


def test_the_last_measurement_has_the_strongest_pair_and_then_draws_by_their_scores():
    net = supernet()
    measurements = list(net.measurements())
    assert [m.epoch for m in measurements] == [1, 2, 3]
    assert [bool(m.derived) for m in measurements] == [False, False, True]
    history = json.loads(measurements[-1].artifacts["alphas.json"])
    assert [row["epoch"] for row in history] == [1, 2, 3]
    derived = measurements[-1].derived
    assert derived[0] == SPACE.derive(BASE, history[-1]["alphas"]).genotype
    rows = json.loads(measurements[-1].artifacts["paths.json"])
    assert [row["id"] for row in rows] == [genotype.id for genotype in derived]
    fids = [row["fid"] for row in rows[1:]]
    assert fids == sorted(fids)
    assert len(set(derived)) == len(derived) > 2
    for genotype in derived:
        SPACE.validate(genotype)
        assert SPACE.build(genotype, (1, 8, 8)) is not None
    metrics = measurements[-1].metrics
    assert {"fid", "skips", "entropy", "resets", "parameters", "seconds", "peak_memory_mb", "generator_training_loss",
            "discriminator_validation_loss"} <= set(metrics)  # fmt: skip
    assert all(math.isfinite(value) for value in metrics.values())
    assert "weights.safetensors" not in measurements[-1].artifacts


def test_the_same_seed_gives_the_same_measurements():
    found = []
    for disturbance in (1, 2):
        disturb_global_generators(disturbance)
        (measurement,) = supernet(epochs=1).measurements()
        found.append((measurement.artifacts, measurement.derived, measurement.metrics["generator_training_loss"]))
    assert found[0] == found[1]


def test_scoring_a_candidate_leaves_the_supernet_as_it_is():
    net = supernet()
    net.training.epoch(PART, MEMORY)
    before = copy.deepcopy(net.training.average.network.state_dict())
    candidate = net._candidate(SPACE.derive(BASE, net.training.architecture.alphas()).genotype)
    after = net.training.average.network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert candidate.architecture.follows
    assert not net.training.average.network.architecture.follows
    assert not net.model.architecture.generator.follows
    noise = torch.randn(2, 16)
    with torch.no_grad():
        assert torch.allclose(
            candidate(noise)[:1], candidate(noise[:1]), atol=1e-5
        )  # an image follows from its latent alone


def test_adversarialnas_is_searched_by_its_own_supernet():
    space = Narrow()
    base = space.base(lambda choice: choice.values[0] if choice.usual is None else choice.usual)
    plan = SupernetPlan(1, relaxation="gumbel_softmax", samples=1, max_skips=2)
    data = PART.take(torch.arange(8))
    hyperparameters = RECIPE | space.hyperparameters(base)
    (measurement,) = PairSupernet(space, base, plan, hyperparameters, (1, 8, 8), data, 0, Scores(), 1.0).measurements()
    assert len(measurement.derived) == 2
    for genotype in measurement.derived:
        space.validate(genotype)
        assert space.hyperparameters(genotype)["discriminator_steps"] == 5
