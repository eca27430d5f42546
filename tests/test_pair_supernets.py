"""The bilevel training of supernets of pairs: who learns from what, recalibration, resets, and what is measured."""

import copy
import json
import math
from dataclasses import replace

import pytest
import torch
from torch import nn

import nas
from evaluators.data import split
from evaluators.feature_training import RECIPES
from evaluators.gan import GanEvaluator
from evaluators.gan_supernet import PairSupernetTraining, _halves
from evaluators.images import Split
from evaluators.metrics.cost import PeakMemory
from evaluators.pair_supernets import MOST_RESETS, PairSupernet, Scoring
from evaluators.recalibration import recalibrate
from evaluators.resets import Watch
from evaluators.sources import digits
from nas.core.errors import Collapsed, Diverged, UserError
from nas.core.evaluator import SupernetEvaluator
from nas.core.supernet import Supernet, probabilities
from nas.core.trial import Proposal, Trial
from nas.testing.spaces import disturb_global_generators
from search_spaces.gan.adversarialnas import AdversarialNasSpace
from search_spaces.gan.modules import Gan
from search_spaces.gan.space import GanSpace
from search_spaces.gan.supernet import PairArchitecture
from search_spaces.supernet import Architecture, Mixture

from .gan_parts import USUAL

MEMORY = PeakMemory(torch.device("cpu"))
SHAPE = (1, 4, 4)


def bright(count=256):
    """Images of one brightness each, from 0.7 to 1."""
    values = torch.linspace(0.7, 1.0, count)
    return Split(values[:, None, None, None].expand(-1, *SHAPE).contiguous())


# -- a toy: one edge in each half, and only one of its options can learn


class Dead(nn.Module):
    def forward(self, x):
        return torch.zeros(len(x), *SHAPE)


class Live(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 16)

    def forward(self, noise):
        return self.layer(noise).view(-1, *SHAPE)


class Half(nn.Module):
    def __init__(self, mixture, end):
        super().__init__()
        self.mixture, self.end = mixture, end
        self.architecture = mixture.architecture

    def forward(self, x):
        value = self.mixture(x)
        return self.end(x.new_zeros(len(x), *SHAPE) if value is None else value)


def toy(plan, options=("none", "dead", "live"), seed=0):
    torch.manual_seed(seed)
    generator, discriminator = (Architecture({f"{half}.0-1": options}, plan) for half in ("generator", "discriminator"))
    made = Mixture("generator.0-1", {"dead": Dead(), "live": Live()}, generator)
    seen = Mixture("discriminator.0-1", {"dead": Dead(), "live": nn.Conv2d(1, 1, 3, padding=1)}, discriminator)
    top = nn.Sequential(nn.Flatten(), nn.Linear(16, 1), nn.Flatten(0))
    model = Gan(Half(made, nn.Sigmoid()), Half(seen, top), 2)
    model.architecture = PairArchitecture(generator, discriminator)
    return model


def training(plan, images=256, hyperparameters=USUAL, seed=0, **options):
    return PairSupernetTraining(toy(plan, **options), plan, hyperparameters, images, seed)


@pytest.mark.parametrize("relaxation", ["softmax", "gumbel_softmax"])
def test_in_both_halves_the_option_that_can_learn_is_found(relaxation):
    """Not by GDAS's draws: they compare an option with its own zero, and around the right image that is noise."""
    plan = Supernet(20, relaxation=relaxation, learning_rate=0.05, temperature=(5.0, 0.5))
    rates = {"generator_learning_rate": 0.01, "discriminator_learning_rate": 0.01}
    game, data = training(plan, hyperparameters=USUAL | rates), bright()
    found = []
    for _ in range(plan.epochs):
        game.epoch(data, MEMORY)
        found.append(game.architecture.alphas())
    for half in ("generator", "discriminator"):
        row = found[-1][f"{half}.0-1"]
        assert max(row, key=row.__getitem__) == "live", (half, row)
        assert probabilities(row)["live"] > 0.4, (half, row)


# -- who learns from what


def numbers(parameters):
    return [parameter.detach().clone() for parameter in parameters]


def same(before, after):
    return all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("loss", ["non_saturating", "hinge", "wasserstein_gradient_penalty", "wasserstein_clipping"])
@pytest.mark.parametrize("still", ["generator", "discriminator"])
def test_a_halfs_alphas_follow_its_own_loss_alone(monkeypatch, still, loss):
    move = PairSupernetTraining._move
    monkeypatch.setattr(PairSupernetTraining, "_move", lambda self, name, x: name == still or move(self, name, x))
    more = {"gradient_penalty": 10.0, "clip": 0.1, "r1": 0.1}
    more.pop("clip" if loss != "wasserstein_clipping" else "", None)
    more.pop("gradient_penalty" if loss != "wasserstein_gradient_penalty" else "", None)
    game = training(Supernet(1, learning_rate=0.01), hyperparameters=USUAL | {"loss": loss} | more)
    other = "discriminator" if still == "generator" else "generator"
    before = {name: numbers(rows) for name, rows in game._alphas.items()}
    game.epoch(bright(), MEMORY)
    assert same(before[still], game._alphas[still])
    assert all(row.grad is None for row in game._alphas[still])  # nothing of the other's losses has come to them
    assert not same(before[other], game._alphas[other])


def test_alphas_move_without_the_weights_and_weights_without_the_alphas(monkeypatch):
    plan = Supernet(1, learning_rate=0.01)
    with monkeypatch.context() as patch:
        patch.setattr(PairSupernetTraining, "_optimise", lambda *arguments: None)
        game = training(plan)
        before = numbers(game._weights(game.model))
        game.epoch(bright(), MEMORY)
        assert same(before, game._weights(game.model))
    monkeypatch.setattr(PairSupernetTraining, "_move", lambda *arguments: None)
    game = training(plan)
    before = numbers(game.architecture.parameters())
    game.epoch(bright(), MEMORY)
    assert same(before, game.architecture.parameters())
    assert not same(numbers(training(plan)._weights(training(plan).model)), game._weights(game.model))


def test_weights_and_alphas_see_halves_of_their_own(monkeypatch):
    seen, unseen = _halves(101, 3)
    assert sorted([*seen.tolist(), *unseen.tolist()]) == list(range(101))
    shown = {"weights": set(), "alphas": set()}
    update, loss = PairSupernetTraining._update_discriminator, PairSupernetTraining._discriminator_loss
    updating = []

    def spied_update(self, *arguments):
        updating.append(1)
        value = update(self, *arguments)
        updating.pop()
        return value

    def spied_loss(self, real, *arguments):
        shown["weights" if updating else "alphas"] |= set(real[:, 0, 0, 0].tolist())
        return loss(self, real, *arguments)

    monkeypatch.setattr(PairSupernetTraining, "_update_discriminator", spied_update)
    monkeypatch.setattr(PairSupernetTraining, "_discriminator_loss", spied_loss)
    game = training(Supernet(2), hyperparameters=USUAL | {"discriminator_steps": 3})
    for _ in range(2):
        game.epoch(bright(), MEMORY)
    assert len(shown["weights"]) == len(shown["alphas"]) == 128
    assert not shown["weights"] & shown["alphas"]


def test_while_the_weights_warm_up_the_alphas_rest():
    game = training(Supernet(2, warm_up=1, learning_rate=0.01))
    before = numbers(game.architecture.parameters())
    game.epoch(bright(), MEMORY)
    assert same(before, game.architecture.parameters())
    assert game.losses[:, :2].isfinite().all()
    assert game.losses[:, 2:].isnan().all()
    game.epoch(bright(), MEMORY)
    assert not same(before, game.architecture.parameters())
    assert game.losses.shape == (4, 4)
    assert game.losses.isfinite().all()


def test_a_draw_that_holds_nothing_is_no_failure():
    game = training(Supernet(2, relaxation="gumbel"), options=("none",))
    game.epoch(bright(), MEMORY)
    assert game.losses.isfinite().all()


def test_the_same_seed_trains_the_same_whatever_the_global_generators():
    found = []
    for disturbance, seed in ((1, 0), (2, 0), (3, 5)):
        game = training(Supernet(2, relaxation="gumbel_softmax"), seed=seed)
        disturb_global_generators(disturbance)
        before = torch.get_rng_state()
        for _ in range(2):
            game.epoch(bright(), MEMORY)
        assert torch.equal(before, torch.get_rng_state())
        found.append([*numbers(game.model.parameters()), game.losses])
    assert same(found[0], found[1])
    assert not same(found[0], found[2])


def test_what_cannot_be_done_is_refused_in_a_line():
    with pytest.raises(UserError, match=r"--set order 2: .*; allowed: 1"):
        training(Supernet(1, order=2))
    with pytest.raises(UserError, match="--train-size 1"):
        training(Supernet(1), images=1)


def test_divergence_is_said():
    rates = {"generator_learning_rate": 1e38, "discriminator_learning_rate": 1e38}
    game = training(Supernet(1), hyperparameters=USUAL | rates)
    with pytest.raises(Diverged, match="supernet"):
        game.epoch(bright(), MEMORY)


# -- recalibration


def test_recalibrated_statistics_are_the_means_of_the_batches():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2), nn.BatchNorm1d(2))
    network[1].track_running_stats, network[1].running_mean, network[1].running_var = False, None, None
    batches = [(2 * torch.randn(10, 3) + 1,) for _ in range(5)]
    weights = numbers(network.parameters())
    network(100 * torch.randn(10, 3))  # what was there before does not count
    recalibrate(network, iter(batches))
    with torch.no_grad():
        first = [network[0](batch) for (batch,) in batches]
        normal = [(x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt() for x in first]
        second = [network[3]((network[1].weight * x + network[1].bias).relu()) for x in normal]
    for layer, inputs in ((network[1], first), (network[4], second)):
        assert torch.allclose(layer.running_mean, torch.stack([x.mean(0) for x in inputs]).mean(0), atol=1e-5)
        assert torch.allclose(layer.running_var, torch.stack([x.var(0) for x in inputs]).mean(0), atol=1e-4)
    assert same(weights, network.parameters())
    assert not network.training
    before = layer.running_mean.clone()
    network(batches[0][0])
    assert torch.equal(before, layer.running_mean)  # evaluation from then on


# -- a whole supernet, with scores that are made up


SPACE = GanSpace().conditioned(None)
SPACE._restrictions = {  # at once: to check each takes long
    "generator_cell.nodes": (1,), "discriminator_cell.nodes": (2,), "generator_width": (16,),
    "discriminator_width": (16,), "generator_stages": (1,), "discriminator_stages": (1,), "latent": (16,),
    **{f"{half}_cell.node{node}.operation{slot}": (*(["none"] if slot else []), "skip", "conv_3x3", "average_pool_3x3")
       for half in ("generator", "discriminator") for node in (1, 2) for slot in (0, 1)},
}  # fmt: skip
BASE = SPACE.base(lambda choice: choice.values[0] if choice.usual is None else choice.usual)
PART = Split(torch.rand(96, 1, 8, 8, generator=torch.Generator().manual_seed(0)))


class Scores:
    """Of generators: FIDs that follow from what they are."""

    def __init__(self):
        self.fids = {}

    def __call__(self, model, generator):
        assert not generator.training
        path = str(generator.architecture._path)
        self.fids.setdefault(path, 100.0 - len(self.fids) % 7)
        return {"fid": self.fids[path], "sample_deviation": 1.0}


def supernet(epochs=3, seed=1, **options):
    plan = Supernet(epochs, **{"relaxation": "gumbel_softmax", "learning_rate": 0.05, "samples": 4} | options)
    scoring = Scoring(Scores(), lambda model, generator: b"picture", 1.0)
    return PairSupernet(SPACE, BASE, plan, (1, 8, 8), PART, seed, scoring)


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


def test_a_collapsed_supernet_begins_anew_with_its_alphas(monkeypatch):
    net = supernet(epochs=6)
    deviations = iter([1.0, 1.0, 0.1, 0.1, 1.0, 1.0])
    monkeypatch.setattr(PairSupernet, "_deviation", lambda self: next(deviations))
    monkeypatch.setattr("evaluators.resets._WINDOW", 1)
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
    net._begin_anew(1, "they are all alike")
    assert net.training.architecture.alphas() == alphas
    assert net.training.epochs_done == 1
    assert all(not optimiser.state for optimiser in net.training._optimisers.values())
    fresh = numbers(net.training._weights(net.model))
    changed = [not torch.equal(one, other) for one, other in zip(weights, fresh, strict=True) if one.dim() > 1]
    assert all(changed)
    net.training.epoch(PART, MEMORY)
    assert net.training.architecture.alphas() != alphas  # they go on learning, not the old ones' copy


def test_a_supernet_that_collapses_again_and_again_fails():
    net = supernet(epochs=40)
    for reset in range(MOST_RESETS):
        net._begin_anew(1, "alike")
        assert net.resets == reset + 1
    with pytest.raises(Collapsed, match="4th time, in epoch 1: alike"):
        net._begin_anew(1, "alike")


class Narrow(AdversarialNasSpace):
    latent, generator_channels, discriminator_channels = 12, 8, 8


def test_adversarialnas_is_searched_by_its_own_supernet():
    space = Narrow()
    base = space.base(lambda choice: choice.values[0] if choice.usual is None else choice.usual)
    plan = Supernet(1, relaxation="gumbel_softmax", samples=1, max_skips=2)
    scoring = Scoring(Scores(), lambda model, generator: b"picture", 1.0)
    data = PART.take(torch.arange(8))
    (measurement,) = PairSupernet(space, base, plan, (1, 8, 8), data, 0, scoring).measurements()
    assert len(measurement.derived) == 2
    for genotype in measurement.derived:
        space.validate(genotype)
        assert space.hyperparameters(genotype)["discriminator_steps"] == 5


# -- when it has collapsed


def watched(watch, rows, deviation=1.0):
    return watch.collapsed(torch.tensor(rows), deviation)


def flat(updates):
    return [[1.0 + 0.01 * (i % 2), 2.0 + math.sin(i)] for i in range(updates)]


def lively(updates):
    return [[1.0 + math.cos(i), 2.0 + math.sin(i)] for i in range(updates)]


def test_a_loss_that_stays_is_a_collapse_over_500_updates_or_a_quarter_of_the_training():
    watch = Watch("hinge", 100, 100, 1.0)  # 10,000 updates: 500
    assert watched(watch, lively(100)) is None
    assert [watched(watch, flat(100)) is None for _ in range(5)] == [True] * 4 + [False]
    reason = watched(Watch("hinge", 100, 8, 1.0), flat(200))  # 800 updates: 200
    assert reason is not None
    assert "discriminator's loss has a variance of 2.5e-05, under 0.001, over 200 updates" in reason
    assert watched(Watch("hinge", 100, 8, 1.0), flat(199)) is None
    assert watched(Watch("hinge", 1, 8, 1.0), flat(49)) is None  # 50 at least
    turned = [[b, a] for a, b in flat(200)]
    assert "generator's loss" in watched(Watch("hinge", 100, 8, 1.0), turned)
    within = lively(30) + flat(200) + lively(30)  # at whatever moment of an epoch
    assert watched(Watch("hinge", 100, 8, 1.0), within) is not None


def test_losses_without_a_scale_are_not_looked_at():
    for loss in ("wasserstein_clipping", "wasserstein_gradient_penalty"):
        assert watched(Watch(loss, 100, 8, 1.0), flat(200)) is None


def test_samples_that_are_alike_are_a_collapse_twice_in_a_row_but_of_a_young_supernet():
    watch = Watch("hinge", 9, 200, 1.0)  # 600 updates are a third
    alike = [1.0, 0.1, 0.1, 0.1, 0.9, 0.1, 0.1]
    assert [watched(watch, lively(200), value) is not None for value in alike] == [False] * 6 + [True]
    watch = Watch("hinge", 9, 100, 1.0)  # and here 300, but 500 it must be
    assert [watched(watch, lively(100), 0.1) is not None for _ in range(7)] == [False] * 6 + [True]


# -- the evaluator


@pytest.fixture
def quick_features(tmp_path, monkeypatch):
    """Few samples, and an extractor that is trained for a moment."""
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("evaluators.metrics.samples._MOST_SAMPLES", 100)
    monkeypatch.setitem(RECIPES, "classifier", replace(RECIPES["classifier"], images=3_000))


@pytest.mark.usefixtures("quick_features")
def test_the_evaluator_trains_supernets_of_pairs_that_are_told_labels():
    data = split("digits", digits.load(), seed=0, train_size=192)
    space = SPACE.conditioned(data.condition)
    base = space.base(lambda c: {"condition": "projection"}.get(c.site, c.values[0] if c.usual is None else c.usual))
    evaluator = GanEvaluator(space, data, epochs=1)
    assert isinstance(evaluator, SupernetEvaluator)
    plan = Supernet(2, relaxation=None, warm_up=None, samples=2)
    measurements = list(evaluator.evaluate(Trial(0, Proposal(base, supernet=plan), 1)))
    assert {"fid", "kid", "coverage", "modes", "entropy", "resets"} <= set(measurements[-1].metrics)
    assert measurements[-1].artifacts["samples.png"].startswith(b"\x89PNG")
    assert measurements[-1].derived[0].content["condition"] == "projection"


@pytest.mark.slow
@pytest.mark.usefixtures("quick_features")
def test_a_run_searches_pairs_by_gradient_and_trains_what_is_derived(tmp_path, monkeypatch):
    monkeypatch.setattr("evaluators.snapshots.collapse", lambda *found: None)
    monkeypatch.setattr("evaluators.snapshots.deviation_collapse", lambda *found: None)
    monkeypatch.setattr("nas.run.Run.export", lambda self, candidate: None)
    pins = {"generator_width": 16, "discriminator_width": 16, "generator_stages": 1, "discriminator_stages": 1,
            "generator_cell.nodes": 1, "discriminator_cell.nodes": 1}  # fmt: skip
    run = nas.search(data="digits", space="gan", strategy="darts", trials=3, epochs=1, train_size=192, pin=pins,
                     set={"supernet_epochs": 1}, runs_dir=tmp_path)  # fmt: skip
    assert [trial.outcome.kind for trial in run.trials] == ["supernet", "complete", "complete"]
    assert run.trials[1].genotype == run.trials[0].measurements[-1].derived[0]
    assert all(trial.proposal.parents == (0,) for trial in run.trials[1:])
