"""Densities integrate to 1, and are those of torch where torch's are exact."""

import pytest
import torch

from evaluators.metrics.likelihood import bernoulli_log_likelihood, continuous_bernoulli_log_likelihood

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
