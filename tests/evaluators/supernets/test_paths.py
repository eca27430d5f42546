"""Supernets trained a path at a time, and candidates scored with their weights."""

import functools
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load

from evaluators.autoencoder.task import AutoencoderTask
from evaluators.gan.task import GanTask
from evaluators.metrics.cost import PeakMemory, count_parameters
from evaluators.supernets.paths import PathSampler, build_supernet, follow_path, require_weight_sharing
from nas.core.errors import UserError
from nas.core.evaluator import WEIGHTS
from nas.core.job import ScoreWithSupernet, TrainSupernet
from nas.core.space import sample
from nas.core.supernet import SupernetPlan
from nas.core.trial import Proposal, Start, Trial
from nas.data.sources import digits
from nas.data.splitting import split_data
from search_spaces.adversarialnas.space import AdversarialNasSpace
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.gan.space import GanSpace
from tests.conftest import tiny_data
from tests.parts.autoencoders import autoencoder_training
from tests.parts.extractors import quick_extractors
from tests.parts.supernets import base_of

CPU = torch.device("cpu")
AUTOENCODERS = (
    AutoencoderSpace()
    .conditioned(None)
    .restrict({"width": (8,), "latent": (4,), "stages": (1,), "family": ("plain",), "encoder_cell.nodes": (1, 2)})
)
SMALL_PAIRS = {
    "generator_width": (16,), "discriminator_width": (16,), "*_stages": (1,), "*_cell.nodes": (1, 2), "latent": (16,),
}  # fmt: skip
PAIRS = GanSpace().restrict(SMALL_PAIRS)


class RelativisticSpace(GanSpace):
    name = "relativistic-gan"
    losses = ("relativistic",)


@pytest.fixture(scope="module", autouse=True)
def quick_features():
    """Few samples, and an extractor that is trained for a moment."""
    with quick_extractors(samples=200, classifier=3_000):
        yield
    evaluator.cache_clear()


@functools.cache
def evaluator(space):
    if space is AUTOENCODERS:
        return AutoencoderTask.make_evaluator(space, tiny_data(), epochs=1)
    return GanTask.make_evaluator(space, split_data("digits", digits.load_digits(), seed=0, train_size=128), epochs=1)


def trained(space, start=None, **plan):
    proposal = Proposal(base_of(space), job=TrainSupernet(SupernetPlan(**{"epochs": 2, "paths": ()} | plan)))
    return list(evaluator(space).evaluate(Trial(0, proposal, 1, start=start)))


def scored(space, genotype, weights, number=3):
    trial = Trial(number, Proposal(genotype, job=ScoreWithSupernet(0)), number, start=Start(0, base_of(space), weights))
    (measurement,) = evaluator(space).evaluate(trial)
    return {name: v for name, v in measurement.metrics.items() if name not in ("seconds", "peak_memory_mb")}


def candidates(space, count):
    within = space.paths(base_of(space))
    return [sample(within, np.random.default_rng(seed)) for seed in range(count)]


@pytest.fixture(scope="module", params=[AUTOENCODERS, PAIRS], ids=["autoencoder", "gan"])
def supernet(request):
    return request.param, trained(request.param)


def test_it_is_measured_after_every_epoch_and_leaves_the_weights_of_all_paths(supernet):
    space, measured = supernet
    assert [m.epoch for m in measured] == [1, 2]
    assert [WEIGHTS in m.artifacts for m in measured] == [False, True]
    assert all(math.isfinite(value) for m in measured for value in m.metrics.values())
    assert next(iter(evaluator(space).objectives)) in measured[-1].metrics
    everything = sum(tensor.numel() for tensor in load(measured[-1].artifacts[WEIGHTS]).values())
    assert everything > 2 * measured[-1].metrics["parameters"]  # which are those of the base's own network
    assert [m.artifacts for m in trained(space)] == [m.artifacts for m in measured]


def test_a_candidates_score_depends_on_what_it_is_and_on_nothing_else(supernet):
    space, measured = supernet
    weights = measured[-1].artifacts[WEIGHTS]
    several = candidates(space, 4)
    found = [scored(space, genotype, weights) for genotype in several]
    first = next(iter(evaluator(space).objectives))
    assert len({metrics[first] for metrics in found}) == len(set(several))
    assert scored(space, several[0], weights, number=8) == found[0]
    own = space.build(several[0], evaluator(space).data.shape)
    assert found[0]["parameters"] == count_parameters(own.generator if space is PAIRS else own)
    # after the last epoch the supernet was measured by the base's path
    timeless = {name: v for name, v in measured[-1].metrics.items() if name not in ("seconds", "peak_memory_mb")}
    assert scored(space, base_of(space), weights) == pytest.approx(timeless, rel=1e-5)


def test_pairs_with_a_relativistic_loss_share_weights_as_well():
    space = RelativisticSpace().restrict(SMALL_PAIRS)
    measured = trained(space)
    assert base_of(space).content["r2"] > 0
    found = [scored(space, genotype, measured[-1].artifacts[WEIGHTS]) for genotype in candidates(space, 2)]
    assert all(math.isfinite(value) for metrics in (*found, measured[-1].metrics) for value in metrics.values())


def test_a_supernet_can_be_trained_further(supernet):
    space, measured = supernet
    weights = measured[-1].artifacts[WEIGHTS]
    several = tuple(genotype.text for genotype in candidates(space, 2))
    further = trained(space, Start(0, base_of(space), weights), epochs=1, paths=several, continues=0)
    assert len(further) == 1
    assert further[0].artifacts[WEIGHTS] != weights
    alone = trained(space, epochs=1, paths=several)
    assert further[0].artifacts[WEIGHTS] != alone[0].artifacts[WEIGHTS]


def test_a_step_changes_the_weights_of_its_path_alone():
    base, (one, *_) = base_of(AUTOENCODERS), candidates(AUTOENCODERS, 1)
    space, plan = require_weight_sharing(AUTOENCODERS), SupernetPlan(epochs=1, paths=(one.text,))
    model = build_supernet(space, base, (1, 8, 8), 0, CPU, None)
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    paths, training = PathSampler(space, base, plan, 0), autoencoder_training(model, space.hyperparameters(base), 1, 0)
    training.before_update = lambda: follow_path(model, paths.draw())
    training.epoch(tiny_data().train, PeakMemory(CPU))
    moved = {name for name, tensor in model.named_parameters() if not torch.equal(tensor, before[name])}
    held = space.path(one)
    assert any(".operations." in name for name in moved)
    cells = [m for m in model.modules() if type(m).__name__ == "MixedCell"]
    for cell in cells:
        (prefix,) = [name for name, module in model.named_modules() if module is cell]
        for index, (ends, edge) in enumerate(zip(cell.ends, cell.edges, strict=True)):
            for option, name in enumerate(edge._names):
                on_path = name in held.get(f"{cell.name}.{ends[0]}-{ends[1]}", ())
                own = f"{prefix}.edges.{index}.operations.{option}."
                assert on_path or not any(one.startswith(own) for one in moved), (ends, name)


def test_paths_are_drawn_from_the_whole_space_or_from_those_given():
    base, some = base_of(AUTOENCODERS), candidates(AUTOENCODERS, 3)
    every = PathSampler(AUTOENCODERS, base, SupernetPlan(epochs=1, paths=()), 0)
    drawn = {str(every.draw()) for _ in range(200)}
    assert len(drawn) > 50
    given = PathSampler(AUTOENCODERS, base, SupernetPlan(epochs=1, paths=tuple(one.text for one in some)), 0)
    assert {str(given.draw()) for _ in range(50)} == {str(AUTOENCODERS.path(one)) for one in some}
    twice = [PathSampler(AUTOENCODERS, base, SupernetPlan(epochs=1, paths=()), 7) for _ in range(2)]
    assert [twice[0].draw() for _ in range(5)] == [twice[1].draw() for _ in range(5)]


def test_all_operations_of_a_published_space_are_paths():
    space = AdversarialNasSpace()
    base = base_of(space)
    assert {d.value for d in space.trace(base) if d.choice.role != "operation"} == {
        d.value for d in space.paths(base).trace(base) if d.choice.role != "operation"
    }
    assert space.paths(base).size() == space.size()


def test_a_trial_that_was_given_no_weights_is_refused():
    trial = Trial(3, Proposal(base_of(AUTOENCODERS), job=ScoreWithSupernet(0)), 0)
    with pytest.raises(UserError, match="trial 3 shares the weights of trial 0"):
        list(evaluator(AUTOENCODERS).evaluate(trial))
