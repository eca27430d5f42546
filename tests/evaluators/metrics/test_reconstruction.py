"""Each metric against a reference."""

import math

import pytest
import torch
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure

from evaluators.metrics.cost import PeakMemory, count_multiply_adds, count_parameters
from evaluators.metrics.likelihood import (
    bernoulli_log_likelihood,
    gaussian_log_likelihood,
    kl_to_standard_normal,
    optimal_variance,
)
from evaluators.metrics.reconstruction import mean_squared_error, psnr, ssim


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(6, 3, 24, 24, generator=generator)
    return (images + 0.1 * torch.randn(images.shape, generator=generator)).clamp(0, 1), images


def test_mse_and_psnr(pair):
    assert mean_squared_error(*pair) == pytest.approx(nn.functional.mse_loss(*pair).item(), rel=1e-5)
    assert psnr(*pair) == pytest.approx(10 * math.log10(1 / mean_squared_error(*pair)), rel=1e-4)


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((24, 24), {}),
        ((22, 40), {}),
        ((8, 8), {"kernel_size": 3}),
        ((12, 17), {"kernel_size": 5}),
        ((5, 4), {"kernel_size": 3}),
    ],
)
def test_ssim_is_torchmetrics_with_wangs_window_or_a_smaller_uniform_one(size, window):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(6, 3, *size, generator=generator)
    other = (images + 0.1 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
    wanted = structural_similarity_index_measure(other, images, gaussian_kernel=not window, data_range=1.0, **window)
    assert ssim(other, images) == pytest.approx(float(wanted), abs=1e-6)


@pytest.mark.parametrize("side", [4, 5, 7, 8, 12, 16, 28])
def test_ssim_is_one_of_equal_images_and_less_otherwise_at_every_size(side):
    images = torch.rand(3, 1, side, side, generator=torch.Generator().manual_seed(1))
    assert ssim(images, images) == pytest.approx(1, abs=1e-4)
    assert ssim(1 - images, images) < 0.5


def test_ssim_of_many_images_is_the_mean_over_all():
    images = torch.rand(600, 1, 8, 8)
    other = torch.rand(600, 1, 8, 8)
    one_by_one = sum(ssim(other[i : i + 1], images[i : i + 1]) for i in range(600)) / 600
    assert ssim(other, images) == pytest.approx(one_by_one, rel=1e-3)


def test_likelihoods_are_torchs_distributions_summed_over_pixels():
    logits, images = torch.randn(4, 1, 5, 5), torch.rand(4, 1, 5, 5).round()
    bernoulli = torch.distributions.Bernoulli(logits=logits).log_prob(images).flatten(1).sum(1)
    assert torch.allclose(bernoulli_log_likelihood(logits, images), bernoulli, atol=1e-4)
    normal = torch.distributions.Normal(logits, math.sqrt(0.3)).log_prob(images).flatten(1).sum(1)
    assert torch.allclose(gaussian_log_likelihood(logits, images, 0.3), normal, atol=1e-4)


def test_the_optimal_variance_is_where_the_likelihood_is_highest_and_its_gradient_is_that_of_the_logarithm():
    means, images = torch.rand(4, 1, 5, 5, requires_grad=True), torch.rand(4, 1, 5, 5)
    best = optimal_variance(means, images)
    likelihood = gaussian_log_likelihood(means, images, best).mean()
    for other in (0.9 * best, 1.1 * best):
        assert gaussian_log_likelihood(means, images, other).mean() < likelihood
    paper = -25 / 2 * torch.log(2 * math.pi * (means - images).square().mean()) - 25 / 2
    assert likelihood.item() == pytest.approx(paper.item(), rel=1e-5)
    (own,), (papers,) = torch.autograd.grad(likelihood, means), torch.autograd.grad(paper, means)
    assert torch.allclose(own, papers, atol=1e-6)
    assert math.isfinite(gaussian_log_likelihood(images, images, optimal_variance(images, images)).mean())


def test_kl_is_torchs_of_each_latent():
    mean, log_variance = torch.randn(4, 7), torch.randn(4, 7)
    posterior = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    prior = torch.distributions.Normal(torch.zeros(4, 7), torch.ones(4, 7))
    wanted = torch.distributions.kl_divergence(posterior, prior)
    assert torch.allclose(kl_to_standard_normal(mean, log_variance), wanted, atol=1e-4)


def test_costs_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Flatten(), nn.Linear(8 * 6 * 6, 10))
    images = torch.rand(5, 3, 6, 6)
    assert count_parameters(model) == (3 * 9 + 1) * 8 + (288 + 1) * 10
    assert count_multiply_adds(model, images) == 36 * 8 * 3 * 9 + 288 * 10
    depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
    assert count_multiply_adds(depthwise, torch.rand(1, 8, 6, 6)) == 36 * 8 * 9
    transposed = nn.ConvTranspose2d(4, 2, 4, 2, 1)
    assert count_multiply_adds(transposed, torch.rand(1, 4, 3, 3)) == 9 * 4 * 2 * 16


def test_counting_leaves_the_model_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    count_multiply_adds(model, torch.rand(2, 1, 5, 5))
    assert model.training
    assert torch.equal(model[1].running_mean, torch.zeros(2))
    assert all(weight.requires_grad for weight in model.parameters())


def test_models_that_pass_views_of_weights_on_are_counted():
    class Constant(nn.Module):
        """Begins with a weight, as generators of the style family do."""

        def __init__(self):
            super().__init__()
            self.constant, self.layer = nn.Parameter(torch.ones(1, 3)), nn.Linear(3, 2)

        def forward(self, x):
            return self.layer(self.constant.expand(len(x), -1))

    assert count_multiply_adds(Constant(), torch.rand(2, 1)) == 6


def test_peak_memory_sees_a_large_tensor():
    memory = PeakMemory(torch.device("cpu"))
    before = memory.megabytes
    held = torch.ones(40_000_000)
    memory.look()
    del held
    assert memory.megabytes >= before + 100
