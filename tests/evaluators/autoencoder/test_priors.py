"""Learned priors: their densities are torch's, and what is drawn of them is."""

import pytest
import torch
from torch import nn

from evaluators.autoencoder.bounds import as_autoencoder, bound_likelihoods, draw_prior
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.posteriors import Mixture, NormalPosterior, infer
from search_spaces.autoencoder.priors import MixtureAutoencoder, NormalMixture, PseudoInputs, VampAutoencoder

LOSS = {"family": "variational", "likelihood": "gaussian", "beta": 1.0, "kl_warm_up": 0.0, "capacity": "off"}


def make_mixture(components=3, latent=2):
    draw = torch.Generator().manual_seed(0)
    mixture = NormalMixture(components, latent)
    with torch.no_grad():
        for parameter in mixture.parameters():
            parameter.copy_(2 * torch.randn(parameter.shape, generator=draw))
    return mixture


def torchs(mixture):
    each = torch.distributions.Independent(
        torch.distributions.Normal(mixture.means[:, 0], (0.5 * mixture.log_variances[:, 0]).exp()), 1
    )
    return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=mixture.logits), each)


def make_model(kind, prior):
    torch.manual_seed(0)
    return kind(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)), nn.Linear(2, 4), nn.Identity(), prior)


def test_the_density_of_a_mixture_is_torchs():
    mixture, codes = make_mixture(), torch.randn(50, 2)
    model = make_model(MixtureAutoencoder, mixture)
    density = Mixture(*model.prior_components()).log_density(codes)
    assert torch.allclose(density, torchs(mixture).log_prob(codes), atol=1e-5)


def test_noise_becomes_codes_of_the_mixture():
    mixture = make_mixture()
    codes = mixture(torch.randn(200_000, 3, generator=torch.Generator().manual_seed(1)))
    known = torchs(mixture)
    assert torch.allclose(codes.mean(0), known.mean, atol=0.03)
    assert torch.allclose(codes.var(0), known.variance, rtol=0.03)
    nearest = mixture.logits.argmax()
    assert torch.allclose(known.log_prob(codes).mean(), known.log_prob(known.sample((200_000,))).mean(), atol=0.02)
    assert mixture.logits.softmax(0)[nearest] > 1 / 3


def test_a_vamp_prior_is_the_mean_of_the_posteriors_of_its_pseudo_inputs():
    model = make_model(VampAutoencoder, PseudoInputs(5, (4,), bounded=False)).eval()
    codes = torch.randn(20, 2)
    found = infer(model, torch.randn(20, 4)).prior.log_density(codes)
    means, log_variances = model.posterior(model.prior())
    each = torch.distributions.Normal(means[:, None], (0.5 * log_variances[:, None]).exp()).log_prob(codes).sum(2)
    assert torch.allclose(found.exp(), each.exp().mean(0), atol=1e-5)


def test_pseudo_inputs_are_no_batch_that_is_normalised_by():
    """In training, as in evaluation, the prior is by running statistics, which they do not move."""
    model = make_model(VampAutoencoder, PseudoInputs(5, (4,), bounded=False)).train()
    before = model.encoder[1].running_mean.clone()
    batch = torch.randn(8, 4)
    seen = infer(model, batch).prior
    assert model.encoder.training
    assert torch.allclose(model.encoder[1].running_mean, 0.9 * before + 0.1 * model.encoder[0](batch).mean(0))
    assert torch.allclose(seen.means, model.eval().prior_components()[0])


def test_pseudo_images_lie_in_their_range_and_have_the_shape_of_images():
    images = PseudoInputs(3, (1, 4, 5), bounded=True)()
    assert images.shape == (3, 1, 4, 5)
    assert ((images > 0) & (images < 1)).all()


def test_the_estimated_divergence_is_that_of_one_normal_component():
    mean, log_variance = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(2))
    zeros = torch.zeros(1, 1, 3)
    exact = NormalPosterior(mean, log_variance).divergence().sum(1)
    posterior = NormalPosterior(mean, log_variance, Mixture(zeros, zeros, torch.zeros(1)))
    assert posterior.divergence() is None
    draw = torch.Generator().manual_seed(3)
    ratios = torch.stack([posterior.draw(draw)[1] for _ in range(4000)])
    error = ratios.std(0) / len(ratios) ** 0.5
    assert ((-ratios.mean(0) - exact).abs() < 4 * error).all()


@pytest.mark.parametrize(
    ("kind", "prior"),
    [(MixtureAutoencoder, NormalMixture(4, 2)), (VampAutoencoder, PseudoInputs(4, (4,), bounded=False))],
)
def test_a_prior_learns_from_the_loss_and_is_drawn_from(kind, prior):
    model, batch = make_model(kind, prior), torch.randn(16, 4)
    loss = training_loss(as_autoencoder(model.train()), batch, LOSS, 1.0, torch.Generator().manual_seed(0))
    loss.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in prior.parameters())
    viewed = as_autoencoder(model.eval())
    drawn = draw_prior(viewed, batch, torch.Generator().manual_seed(1))
    noise = torch.randn((16, 3), generator=torch.Generator().manual_seed(1))
    assert torch.allclose(drawn, model.decode(model.make_sampler()(noise)))
    rows = bound_likelihoods(viewed, batch, "gaussian", torch.Generator().manual_seed(2), 0.5, 3)
    assert (rows[2] >= rows[0] - rows[1]).all()  # of the same samples, by Jensen's inequality
