"""A flow as a prior: it is inverted exactly, its density is one, and bounds with it are bounds."""

import math

import pytest
import torch
from torch import nn

from evaluators.autoencoder.bounds import as_autoencoder, bound_likelihoods, draw_prior
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.posteriors import NormalPosterior, infer
from search_spaces.autoencoder.flows import FlowAutoencoder, NormalisingFlow
from tests.parts.autoencoders import Bare

LOSS = {"family": "variational", "likelihood": "gaussian", "beta": 1.0, "kl_warm_up": 0.0, "capacity": "off"}


def make_flow(latent, steps=4, scale=0.3, seed=0):
    """A flow whose steps are far from the identity."""
    torch.manual_seed(seed)
    flow = NormalisingFlow(steps, latent, 16)
    with torch.no_grad():
        for coupling in flow.couplings:
            for parameter in coupling.network[-1].parameters():
                parameter.copy_(scale * torch.randn(parameter.shape))
    return flow


@pytest.mark.parametrize("latent", [1, 2, 5, 32])
@pytest.mark.parametrize("steps", [2, 4, 8])
def test_a_flow_is_inverted_and_its_determinant_is_autograds(latent, steps):
    flow, noise = make_flow(latent, steps), torch.randn(64, latent)
    codes = flow(noise)
    back, determinant = flow.invert(codes)
    assert (codes - noise).abs().mean() > 0.05
    assert (back - noise).abs().max() < 1e-5
    for row in range(3):
        jacobian = torch.autograd.functional.jacobian(lambda one: flow(one[None])[0], noise[row])
        assert determinant[row].item() == pytest.approx(-torch.linalg.slogdet(jacobian).logabsdet.item(), abs=1e-4)


def test_every_latent_is_moved_and_depends_on_others():
    flow = make_flow(6)
    jacobian = torch.autograd.functional.jacobian(lambda one: flow(one[None])[0], torch.randn(6))
    assert (jacobian.abs() > 1e-6).all()


def test_the_density_of_a_flow_is_one_in_all_and_that_of_its_samples():
    flow = make_flow(2, scale=0.2)
    axis = torch.linspace(-15, 15, 601)
    grid = torch.cartesian_prod(axis, axis)
    with torch.no_grad():
        density = flow.log_density(grid).exp() * (axis[1] - axis[0]) ** 2
        samples = flow(torch.randn(100_000, 2, generator=torch.Generator().manual_seed(1)))
    assert density.sum() == pytest.approx(1, abs=1e-3)
    assert torch.allclose((density[:, None] * grid).sum(0), samples.mean(0), atol=0.03)
    upper = grid.sum(1) > 0.5
    assert density[upper].sum() == pytest.approx((samples.sum(1) > 0.5).float().mean().item(), abs=0.01)


def test_a_new_flow_is_the_standard_normal():
    flow, mean, log_variance = NormalisingFlow(4, 3, 8), torch.randn(9, 3), torch.randn(9, 3)
    draws = [torch.Generator().manual_seed(0) for _ in range(2)]
    ratios = [
        NormalPosterior(mean, log_variance, prior).draw(draw)[1]
        for prior, draw in zip((None, flow), draws, strict=True)
    ]
    assert torch.allclose(*ratios, atol=1e-5)


class Linear(FlowAutoencoder):
    """x = (z1, z2) + noise of variance s, where z is of a flow that scales and shifts alone: all is normal."""

    def __init__(self, prior, spread):
        Bare.__init__(self)
        self.prior, self.spread = prior, spread
        self.decoder, self.output = nn.Identity(), nn.Identity()
        self.encoder = nn.Identity()
        shifts, scales = self.constants()
        self.gain = scales.square() / (scales.square() + spread)
        self.shifts, self.log_variance = shifts, (self.gain * spread).log()

    def constants(self):
        shifts = self.prior(torch.zeros(1, 2))[0].detach()
        return shifts, (self.prior(torch.ones(1, 2))[0] - shifts).detach()

    def posterior(self, images):
        mean = self.shifts + self.gain * (images - self.shifts)
        return mean, self.log_variance.expand_as(mean)


def test_with_the_posterior_of_a_linear_model_bounds_are_its_likelihood():
    flow, spread = NormalisingFlow(4, 2, 8), 0.5
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():  # constants, whatever the other half is
        for coupling in flow.couplings:
            coupling.network[-1].bias.copy_(0.5 * torch.randn(4, generator=draw))
    model = Linear(flow, spread)
    shifts, scales = model.constants()
    assert shifts.abs().min() > 0.05
    examples = shifts + torch.randn(30, 2, generator=torch.Generator().manual_seed(9))
    exact = torch.distributions.Normal(shifts, (scales.square() + spread).sqrt()).log_prob(examples).sum(1)
    rows = bound_likelihoods(as_autoencoder(model), examples, "gaussian", torch.Generator().manual_seed(0), spread, 20)
    assert torch.allclose(rows[2], exact, atol=1e-3)  # every code's weight is the likelihood itself
    assert torch.allclose(rows[0] - rows[1], exact, atol=1e-3)


def test_a_flow_learns_from_the_loss_and_is_drawn_from():
    torch.manual_seed(0)
    halves = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), nn.Linear(2, 4), nn.Identity()
    model = FlowAutoencoder(*halves, make_flow(2)).train()
    batch = torch.randn(16, 4)
    training_loss(as_autoencoder(model), batch, LOSS, 1.0, torch.Generator().manual_seed(0)).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.prior.couplings[3].parameters())
    viewed = as_autoencoder(model.eval())
    assert infer(model, batch).divergence() is None
    drawn = draw_prior(viewed, batch, torch.Generator().manual_seed(1))
    noise = torch.randn((16, 2), generator=torch.Generator().manual_seed(1))
    assert torch.allclose(drawn, model.decode(model.prior(noise)))


def test_a_flow_learns_a_density_that_is_not_normal():
    """A ring has 1.9 nats less entropy than the normal distribution of its variance."""
    draw = torch.Generator().manual_seed(0)

    def ring(count):
        angles = 2 * math.pi * torch.rand(count, generator=draw)
        radii = 2 + 0.1 * torch.randn(count, generator=draw)
        return torch.stack((radii * angles.cos(), radii * angles.sin()), dim=1)

    torch.manual_seed(0)
    flow = NormalisingFlow(8, 2, 32)
    optimiser = torch.optim.Adam(flow.parameters(), 0.005)
    for _ in range(200):
        optimiser.zero_grad()
        (-flow.log_density(ring(256)).mean()).backward()
        optimiser.step()
    normal = -math.log(2 * math.pi * 2.005) - 1  # the entropy of N(0, 2.005), whose variance the ring has
    assert flow.log_density(ring(2000)).mean() > normal + 0.7
