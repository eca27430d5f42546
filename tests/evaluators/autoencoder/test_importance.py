"""The importance-weighted bound and its two gradients, on a model whose likelihood is known."""

import math

import pytest
import torch

from evaluators.autoencoder.bounds import as_autoencoder, bound_likelihoods, log_likelihood
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.importance import bound_by_weights
from evaluators.autoencoder.posteriors import NormalPosterior
from tests.parts.linear_gaussian import VARIANCE, log_density, make_linear

X = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))


def bound(model, x, count, seed, *, double=True):
    """The mean bound of `count` samples, as the loss makes it but with the variance that the density has."""
    posterior = as_autoencoder(model).infer(x).repeat(count)
    code, _ = posterior.draw(torch.Generator().manual_seed(seed))
    reached = log_likelihood(as_autoencoder(model), model.decoder(code), x.repeat(count, 1), "gaussian", VARIANCE)
    ratio = (posterior.detach() if double else posterior).log_ratio(code)
    return bound_by_weights((reached + ratio).unflatten(0, (count, -1)), code if double else None).mean()


def test_with_one_sample_the_bound_is_the_elbo():
    model = make_linear()
    x = X.repeat(5000, 1)
    rows = bound_likelihoods(as_autoencoder(model), x, "gaussian", torch.Generator().manual_seed(1), VARIANCE, 4)
    elbo = (rows[0] - rows[1]).mean().item()
    with torch.no_grad():
        assert bound(model, x, 1, 2).item() == pytest.approx(elbo, abs=0.05)


def test_bounds_grow_with_their_samples_toward_the_known_likelihood():
    model, x = make_linear(), X.repeat(500, 1)
    with torch.no_grad():
        bounds = [bound(model, x, count, 4).item() for count in (1, 5, 50, 500)]
        wanted = log_density(model, X).mean().item()
    assert bounds == sorted(bounds)
    assert bounds[1] > bounds[0] + 0.1
    assert wanted - 0.02 < bounds[3] < wanted + 0.01


def encoder_gradients(count, draws, *, double):
    """The gradient of the encoder's weights for each of some draws, (draws, parameters)."""
    model, found = make_linear(), []
    for seed in range(draws):
        gradients = torch.autograd.grad(bound(model, X, count, seed, double=double), list(model.encoder.parameters()))
        found.append(torch.cat([gradient.flatten() for gradient in gradients]))
    return torch.stack(found)


def test_the_doubly_reparameterised_gradient_has_the_same_mean_and_less_variance():
    double, plain = (encoder_gradients(10, 800, double=kind) for kind in (True, False))
    error = ((double.var(0) + plain.var(0)) / len(double)).sqrt()
    assert ((double.mean(0) - plain.mean(0)).abs() < 4 * error).all()
    assert double.mean(0).norm() > 5 * error.norm()  # so that equal means say something
    assert double.var(0).sum() < 0.5 * plain.var(0).sum()


def test_the_decoder_has_the_plain_gradient_either_way():
    model = make_linear()
    one, other = (
        torch.autograd.grad(bound(model, X, 7, 0, double=double), list(model.decoder.parameters()))
        for double in (True, False)
    )
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("gradient", ["doubly_reparameterised", "plain"])
def test_the_loss_is_minus_the_bound_in_nats(gradient):
    """With a decoder that knows nothing every likelihood is known, and the posterior is the prior: so is the bound."""
    model = make_linear()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    variance = X.square().mean().item()
    wanted = 0.5 * 3 * (math.log(2 * math.pi * variance) + 1)
    told = {"family": "importance_weighted", "importance_samples": 5, "gradient": gradient, "likelihood": "gaussian"}
    loss = training_loss(as_autoencoder(model), X, told, 0.5, torch.Generator().manual_seed(0))
    assert loss.item() == pytest.approx(wanted, rel=1e-5)


def test_a_ratio_of_drawn_codes_is_that_of_torchs_densities():
    mean, log_variance = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(5))
    posterior = NormalPosterior(mean, log_variance)
    code, ratio = posterior.draw(torch.Generator().manual_seed(6))
    normal = torch.distributions.Normal
    wanted = normal(0, 1).log_prob(code) - normal(mean, (0.5 * log_variance).exp()).log_prob(code)
    assert torch.allclose(ratio, wanted.sum(1), atol=1e-5)
    assert torch.allclose(posterior.log_ratio(code), wanted.sum(1), atol=1e-5)
