"""What turns a decoder's output into images."""

import pytest
import torch

from evaluators.metrics.likelihood import discretised_logistic_log_likelihood
from search_spaces.autoencoder.modules import ContinuousBernoulliMean, LogisticMixture


def test_the_mean_of_a_continuous_bernoulli_is_torchs_and_no_sigmoid():
    logits = torch.linspace(-30, 30, 601, dtype=torch.float64)
    means = ContinuousBernoulliMean()(logits)
    torchs = torch.distributions.ContinuousBernoulli(logits=logits).mean
    assert torch.allclose(means, torchs, atol=1e-6)
    assert (means[450:] < torch.sigmoid(logits[450:])).all()
    assert (means.diff() > 0).all()


def test_its_values_and_gradients_are_finite_everywhere():
    logits = torch.tensor([-1e6, -200.0, -0.2, -1e-3, 0.0, 1e-30, 0.19999, 0.2, 90.0, 1e6], requires_grad=True)
    means = ContinuousBernoulliMean()(logits)
    (gradient,) = torch.autograd.grad(means.sum(), logits)
    assert ((means >= 0) & (means <= 1)).all()
    assert (gradient >= 0).all()
    assert gradient[4].item() == torch.tensor(1 / 12).item()  # the variance of the uniform distribution


def make_parameters(components, channels, count, spread, sharper=0.0):
    draw = torch.Generator().manual_seed(0)
    parameters = spread * torch.randn(count, components * (1 + 2 * channels), 1, 1, generator=draw)
    parameters[:, -components * channels :] -= sharper
    return parameters


@pytest.mark.parametrize("sharper", [-3.0, 0.0, 3.0, 9.0])
def test_the_mean_of_a_mixture_of_discretised_logistics_is_that_of_its_256_values(sharper):
    mixture, parameters = LogisticMixture(3, 1), make_parameters(3, 1, 50, 0.7, sharper)
    values = (torch.arange(256) / 255).view(-1, 1, 1, 1)
    for row in range(50):
        unpacked = mixture.unpack(parameters[row : row + 1].expand(256, -1, -1, -1))
        exact = (discretised_logistic_log_likelihood(*unpacked, values).exp() * values.flatten()).sum()
        assert abs(mixture(parameters[row : row + 1]).item() - exact.item()) < 0.5 / 255


def test_what_is_drawn_of_a_mixture_has_its_probabilities():
    mixture, parameters = LogisticMixture(3, 2), make_parameters(3, 2, 1, 0.7)
    torch.manual_seed(0)
    drawn = mixture.draw(parameters.expand(40, -1, 100, 50)).movedim(1, 0).flatten(1)
    assert torch.equal((drawn * 255).round() / 255, drawn)
    assert torch.allclose(drawn.mean(1), mixture(parameters).flatten(), atol=0.01)
    values = (torch.arange(256) / 255).view(-1, 1, 1, 1)
    dark = [torch.cartesian_prod(values[:77].flatten(), values.flatten()).view(-1, 2, 1, 1)]  # of the first channel
    unpacked = mixture.unpack(parameters.expand(len(dark[0]), -1, -1, -1))
    share = discretised_logistic_log_likelihood(*unpacked, dark[0]).exp().sum().item()
    assert (drawn[0] <= 76.5 / 255).float().mean().item() == pytest.approx(share, abs=0.01)


def test_channels_of_a_pixel_are_of_one_component():
    parameters = torch.zeros(1, 2 * 5, 1, 1)
    parameters[0, 6:] = -9.0  # surely at a quarter, or at three quarters
    torch.manual_seed(0)
    drawn = LogisticMixture(2, 2).draw(parameters.expand(1, -1, 30, 30))
    assert set((drawn * 4).round().unique().tolist()) == {1.0, 3.0}
    assert ((drawn[0, 0] - drawn[0, 1]).abs() < 0.1).all()


def test_means_of_logistics_are_finite_and_in_their_range_everywhere():
    parameters = torch.tensor([-1e5, -50.0, 0.0, 50.0, 1e5])
    every = torch.cartesian_prod(parameters, parameters, parameters).view(-1, 3, 1, 1).requires_grad_()
    means = LogisticMixture(1, 1)(every)
    (gradient,) = torch.autograd.grad(means.sum(), every)
    assert ((means >= 0) & (means <= 1)).all()
    assert gradient.isfinite().all()
