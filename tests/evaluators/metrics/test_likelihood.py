"""Densities integrate to 1, and are those of torch where torch's are exact."""

import pytest
import torch

from evaluators.metrics.likelihood import (
    bernoulli_log_likelihood,
    continuous_bernoulli_log_likelihood,
    discretised_logistic_log_likelihood,
)

LOGITS = torch.tensor([-80.0, -6, -0.6, -0.5, -0.49, -0.02, 0, 1e-4, 0.3, 0.51, 2, 9, 80], dtype=torch.float64)


def mass(log_likelihood, logits, points=200_001):
    """The integral of each pixel's likelihood over [0, 1], by Simpson's rule."""
    x = torch.linspace(0, 1, points, dtype=torch.float64)
    weights = torch.full((points,), 2.0, dtype=torch.float64)
    weights[1::2], weights[0], weights[-1] = 4.0, 1.0, 1.0
    values = [log_likelihood(logit.expand(points, 1, 1, 1), x.view(-1, 1, 1, 1)).exp() for logit in logits]
    return (torch.stack(values) * weights).sum(1) / (3 * (points - 1))


def test_a_continuous_bernoulli_is_a_density_for_every_logit_and_a_bernoulli_is_none():
    ones = torch.ones(len(LOGITS), dtype=torch.float64)
    assert torch.allclose(mass(continuous_bernoulli_log_likelihood, LOGITS), ones, atol=1e-7)
    assert mass(bernoulli_log_likelihood, torch.zeros(1)).item() == pytest.approx(0.5)


def test_a_continuous_bernoulli_is_torchs_summed_over_pixels():
    logits, images = 4 * torch.randn(6, 2, 5, 5, dtype=torch.float64), torch.rand(6, 2, 5, 5, dtype=torch.float64)
    torchs = torch.distributions.ContinuousBernoulli(logits=logits).log_prob(images).flatten(1).sum(1)
    assert torch.allclose(continuous_bernoulli_log_likelihood(logits, images), torchs, atol=1e-4)


@pytest.mark.parametrize("extreme", [0.0, 1.0])
def test_a_continuous_bernoulli_has_finite_values_and_gradients_in_single_precision(extreme):
    logits = torch.cat((LOGITS.float(), torch.tensor([-1e4, 1e4]))).view(-1, 1, 1, 1).requires_grad_()
    likelihood = continuous_bernoulli_log_likelihood(logits, torch.full_like(logits, extreme))
    (gradient,) = torch.autograd.grad(likelihood.sum(), logits)
    assert torch.isfinite(likelihood).all()
    assert torch.isfinite(gradient).all()
    exact = continuous_bernoulli_log_likelihood(logits.double(), torch.full_like(logits, extreme).double())
    assert torch.allclose(likelihood.double(), exact, rtol=1e-5, atol=1e-6)


def make_logistics(components, channels, count, log_scale):
    draw = torch.Generator().manual_seed(0)
    weights = torch.randn(1, components, 1, 1, 1, generator=draw).log_softmax(1)
    means = 0.5 + torch.randn(1, components, channels, 1, 1, generator=draw)  # some lie beyond what there is
    return [values.expand(count, -1, -1, 1, 1) for values in (weights, means, torch.full_like(means, log_scale))]


@pytest.mark.parametrize("log_scale", [-8.0, -6.0, -3.0, 0.0, 4.0])
def test_discretised_logistics_are_probabilities_of_256_values_and_of_pairs_of_them(log_scale):
    one = torch.arange(256) / 255
    found = discretised_logistic_log_likelihood(*make_logistics(3, 1, 256, log_scale), one.view(-1, 1, 1, 1))
    assert found.double().exp().sum().item() == pytest.approx(1, abs=1e-4)
    pairs = torch.cartesian_prod(one, one).view(-1, 2, 1, 1)
    found = discretised_logistic_log_likelihood(*make_logistics(3, 2, 65_536, log_scale), pairs)
    assert found.double().exp().sum().item() == pytest.approx(1, abs=1e-4)


def test_a_discretised_logistic_is_the_difference_of_its_distribution_function():
    images = torch.randint(256, (6, 2, 5, 5)).double() / 255
    draw = torch.Generator().manual_seed(0)
    means, log_scales = torch.randn(2, 6, 4, 2, 5, 5, generator=draw, dtype=torch.float64)
    log_weights = torch.randn(6, 4, 1, 5, 5, generator=draw, dtype=torch.float64).log_softmax(1)
    bins = (images * 255).round()[:, None]
    upper, lower = ((((bins + edge) / 255 - means) / log_scales.exp()).sigmoid() for edge in (0.5, -0.5))
    upper, lower = torch.where(bins == 255, 1.0, upper), torch.where(bins == 0, 0.0, lower)
    exact = (log_weights.exp()[:, :, 0] * (upper - lower).prod(2)).sum(1).log().flatten(1).sum(1)
    assert torch.allclose(discretised_logistic_log_likelihood(log_weights, means, log_scales, images), exact)


@pytest.mark.parametrize("mean", [-50.0, 0.0, 0.5, 50.0])
@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_discretised_logistics_have_finite_values_and_gradients_in_single_precision(mean, value):
    means = torch.full((1, 2, 1, 1, 1), mean, requires_grad=True)
    log_scales = torch.tensor([-8.0, 4.0]).view(1, 2, 1, 1, 1).requires_grad_()
    log_weights = torch.zeros(1, 2, 1, 1, 1).log_softmax(1)
    found = discretised_logistic_log_likelihood(log_weights, means, log_scales, torch.full((1, 1, 1, 1), value))
    gradients = torch.autograd.grad(found.sum(), (means, log_scales))
    assert found.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in gradients)
