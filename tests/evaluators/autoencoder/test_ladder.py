"""Ladders of two layers, of a model whose likelihood is known."""

import pytest
import torch
from torch import nn

from evaluators.autoencoder.bounds import as_autoencoder, bound_likelihoods
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.posteriors import infer
from search_spaces.autoencoder.ladder import FirstValues, LadderAutoencoder

VARIANCE, SPREAD = 0.4, 0.5


@pytest.fixture
def ladder():
    """z2 in R, z1 = a z2 + b + noise in the plane, x = W z1 + noise in R^3; the upward pass is any."""
    torch.manual_seed(0)
    down = nn.Linear(1, 4)
    with torch.no_grad():
        down.weight[2:] = 0
        down.bias[2:] = torch.tensor(SPREAD).log()
    decoder = nn.Sequential(FirstValues(2), nn.Linear(2, 3))
    ups, downs = nn.Sequential(nn.Linear(4, 2)), nn.Sequential(down)
    return LadderAutoencoder(nn.Linear(3, 4), decoder, nn.Identity(), ups, downs, (2, 1))


def marginal(model):
    """p(z1) and p(x)."""
    down, linear = model.downs[0], model.decoder[1]
    mean, covariance = down.bias[:2], down.weight[:2] @ down.weight[:2].T + SPREAD * torch.eye(2)
    weights = linear.weight
    normal = torch.distributions.MultivariateNormal
    whole = weights @ covariance @ weights.T + VARIANCE * torch.eye(3)
    return normal(mean, covariance), normal(weights @ mean + linear.bias, whole)


@torch.no_grad()
def test_the_bound_grows_to_the_likelihood_with_its_samples(ladder):
    x = marginal(ladder)[1].sample((30,))
    known = marginal(ladder)[1].log_prob(x)
    generator = torch.Generator().manual_seed(0)
    few, many = (bound_likelihoods(as_autoencoder(ladder), x, "gaussian", generator, VARIANCE, n) for n in (10, 1500))
    assert (many[2] - known).abs().median() < 0.05  # a few examples are far from what is suggested
    assert (few[0] - few[1]).mean() < few[2].mean() < known.mean() + 0.05


@torch.no_grad()
def test_divergences_of_the_layers_sum_to_what_codes_that_are_drawn_say(ladder):
    posterior, generator = infer(ladder, torch.randn(4, 3)), torch.Generator().manual_seed(0)
    drawn = [posterior.descend(generator) for _ in range(2500)]
    ratios = torch.stack([ratio for _, ratio, _ in drawn]).mean(0)
    divergences = torch.stack([each for *_, each in drawn]).mean(0)
    assert divergences.shape == (4, 3)
    assert (divergences >= 0).all()
    assert torch.allclose(divergences.sum(1), -ratios, atol=0.12)


@torch.no_grad()
def test_a_layer_is_the_mean_of_what_is_suggested_by_precision(ladder):
    suggested = torch.tensor([[2.0, 0.0, *(torch.tensor([0.25, 1.0]).log())]])
    above = (torch.tensor([[0.0, 4.0]]), torch.tensor([[1.0, 1 / 3]]).log())
    mean, log_variance = ladder.merge(suggested, above)
    assert torch.allclose(mean, torch.tensor([[8 / 5, 3.0]]))  # 4 * 2 / (4 + 1), 3 * 4 / (1 + 3)
    assert torch.allclose(log_variance.exp(), torch.tensor([[1 / 5, 1 / 4]]))
    assert torch.equal(ladder.merge(suggested, None)[0], suggested[:, :2])


@torch.no_grad()
def test_samples_of_the_prior_come_from_the_top_down(ladder):
    codes = ladder.make_sampler()(torch.randn(40_000, 3))
    expected, _ = marginal(ladder)
    assert torch.allclose(codes[:, :2].mean(0), expected.mean, atol=0.03)
    assert torch.allclose(torch.cov(codes[:, :2].T), expected.covariance_matrix, atol=0.05)
    together = torch.cov(codes.T)[2, :2]
    assert torch.allclose(together, ladder.downs[0].weight[:2, 0], atol=0.05)


def test_every_layer_learns_from_the_loss_and_the_cost_of_its_divergence_is_that_of_free_bits(ladder):
    x, chosen = torch.randn(50, 3), {"family": "ladder", "beta": 1.0, "kl_warm_up": 0.0}
    loss = training_loss(as_autoencoder(ladder), x, chosen, 1.0, torch.Generator().manual_seed(0))
    loss.backward()
    assert all(parameter.grad is not None for parameter in ladder.parameters())
    free = training_loss(as_autoencoder(ladder), x, chosen | {"free_bits": 9.0}, 1.0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        _, _, divergences = infer(ladder, x).descend(torch.Generator().manual_seed(0))
    assert float((free - loss).detach()) == pytest.approx(27 - float(divergences.mean(0).sum()), abs=1e-4)
