"""The bilevel training of supernets of pairs: who learns from what."""

import pytest
import torch
from torch import nn

from evaluators.gan.bilevel import PairSupernetTraining, _split_indices
from nas.core.errors import Diverged, UserError
from nas.core.supernet import SupernetPlan, probabilities
from nas.data.dataset import Split
from nas.testing.spaces import disturb_global_generators
from search_spaces.gan.modules import Gan
from search_spaces.supernet import Architecture, Mixture, PairArchitecture
from tests.parts.gan import USUAL
from tests.parts.pair_supernets import MEMORY, numbers, same

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
    plan = SupernetPlan(20, relaxation=relaxation, learning_rate=0.05, temperature=(5.0, 0.5))
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


@pytest.mark.parametrize(
    "loss", ["non_saturating", "hinge", "wasserstein_gradient_penalty", "wasserstein_clipping", "relativistic"]
)
@pytest.mark.parametrize("still", ["generator", "discriminator"])
def test_a_halfs_alphas_follow_its_own_loss_alone(monkeypatch, still, loss):
    move = PairSupernetTraining._move
    monkeypatch.setattr(PairSupernetTraining, "_move", lambda self, name, x: name == still or move(self, name, x))
    more = {"loss": loss, "gradient_penalty": 10.0, "clip": 0.1, "r1": 0.1, "r2": 0.1}  # as far as the loss has them
    game = training(SupernetPlan(1, learning_rate=0.01), hyperparameters=USUAL | more)
    other = "discriminator" if still == "generator" else "generator"
    before = {name: numbers(rows) for name, rows in game._alphas.items()}
    game.epoch(bright(), MEMORY)
    assert same(before[still], game._alphas[still])
    assert all(row.grad is None for row in game._alphas[still])  # nothing of the other's losses has come to them
    assert not same(before[other], game._alphas[other])


def test_alphas_move_without_the_weights_and_weights_without_the_alphas(monkeypatch):
    plan = SupernetPlan(1, learning_rate=0.01)
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
    seen, unseen = _split_indices(101, 3)
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
    game = training(SupernetPlan(2), hyperparameters=USUAL | {"discriminator_steps": 3})
    for _ in range(2):
        game.epoch(bright(), MEMORY)
    assert len(shown["weights"]) == len(shown["alphas"]) == 128
    assert not shown["weights"] & shown["alphas"]


def test_while_the_weights_warm_up_the_alphas_rest():
    game = training(SupernetPlan(2, warm_up=1, learning_rate=0.01))
    before = numbers(game.architecture.parameters())
    game.epoch(bright(), MEMORY)
    assert same(before, game.architecture.parameters())
    assert game.losses[:, :2].isfinite().all()
    assert game.losses[:, 2:].isnan().all()
    game.epoch(bright(), MEMORY)
    assert not same(before, game.architecture.parameters())
    assert game.losses.shape == (4, 4)
    assert game.losses.isfinite().all()


@pytest.mark.parametrize("changed", [{}, {"loss": "relativistic", "r1": 0.1, "r2": 0.1}], ids=["usual", "penalties"])
def test_a_draw_that_holds_nothing_is_no_failure(changed):
    game = training(SupernetPlan(2, relaxation="gumbel"), hyperparameters=USUAL | changed, options=("none",))
    game.epoch(bright(), MEMORY)
    assert game.losses.isfinite().all()


def test_the_same_seed_trains_the_same_whatever_the_global_generators():
    found = []
    for disturbance, seed in ((1, 0), (2, 0), (3, 5)):
        game = training(SupernetPlan(2, relaxation="gumbel_softmax"), seed=seed)
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
        training(SupernetPlan(1, order=2))
    with pytest.raises(UserError, match="--train-size 1"):
        training(SupernetPlan(1), images=1)


def test_divergence_is_said():
    rates = {"generator_learning_rate": 1e38, "discriminator_learning_rate": 1e38}
    game = training(SupernetPlan(1), hyperparameters=USUAL | rates)
    with pytest.raises(Diverged, match="supernet"):
        game.epoch(bright(), MEMORY)
