"""Variational autoencoders whose prior is learned. They stand alone: the exporter copies their source."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.autoencoder.modules import VariationalAutoencoder


class NormalMixture(nn.Module):
    """A mixture of normal distributions of codes, with learned means, variances and weights.

    What optimisers do with matrices does not suit rows that have nothing to do with each other: these are none.
    """

    more_noise = 1

    def __init__(self, components: int, latent: int) -> None:
        super().__init__()
        self.components = components
        self.latent = latent
        self.means = nn.Parameter(torch.randn(components, 1, latent))
        self.log_variances = nn.Parameter(torch.zeros(components, 1, latent))
        self.logits = nn.Parameter(torch.zeros(components))

    def forward(self, noise: Tensor) -> Tensor:
        """Normal noise (N, latent + 1) to codes (N, latent); its last number says of which component each is."""
        share = 0.5 + 0.5 * torch.erf(noise[:, -1:] * 0.5**0.5)
        chosen = (share > self.logits.softmax(0).cumsum(0)[:-1]).long().sum(1)
        deviations = (0.5 * self.log_variances[chosen, 0]).exp()
        return self.means[chosen, 0] + deviations * noise[:, :-1]


class PseudoInputs(nn.Module):
    """Learned examples, `bounded` ones in [0, 1] (Tomczak & Welling 2018)."""

    def __init__(self, components: int, shape: tuple[int, ...], bounded: bool) -> None:
        super().__init__()
        self.components = components
        self.shape = shape
        self.bounded = bounded
        self.inputs = nn.Parameter(torch.randn(components, 1, torch.Size(shape).numel()))  # no matrix

    def forward(self) -> Tensor:
        """All of them, (components, *shape)."""
        inputs = self.inputs.sigmoid() if self.bounded else self.inputs
        return torch.unflatten(inputs, 2, self.shape).squeeze(1)


class LearnedPriorAutoencoder(VariationalAutoencoder):
    """A variational autoencoder with a learned prior, which is a mixture of normal distributions."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, output: nn.Module, prior: nn.Module) -> None:
        super().__init__(encoder, decoder, output)
        self.prior = prior

    def prior_components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Means and logarithms of the variances, (components, 1, latent), and of the weights, (components,)."""
        raise NotImplementedError

    def make_sampler(self) -> nn.Module:
        """What turns normal noise (N, latent + 1) into codes of the prior as it is now."""
        values = self.prior_components()
        with torch.random.fork_rng(devices=[]):  # what a new one draws is overwritten
            sampler = NormalMixture(values[0].shape[0], values[0].shape[2]).to(values[0].device)
        for kept, value in zip(sampler.parameters(), values, strict=True):
            kept.data.copy_(value)
        return sampler


class MixtureAutoencoder(LearnedPriorAutoencoder):
    """A variational autoencoder whose prior is decided by its parameters alone."""

    prior: NormalMixture

    def prior_components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Means and logarithms of the variances, (components, 1, latent), and of the weights, (components,)."""
        return self.prior.means, self.prior.log_variances.clamp(-10, 10), self.prior.logits.log_softmax(0)


class VampAutoencoder(LearnedPriorAutoencoder):
    """A variational autoencoder whose prior is the mean of its pseudo-inputs' posteriors (Tomczak & Welling 2018)."""

    prior: PseudoInputs

    def prior_components(self) -> tuple[Tensor, Tensor, Tensor]:
        """Means and logarithms of the variances, (components, 1, latent), and of the weights, (components,)."""
        means, log_variances = self.posterior(self.prior())
        weights = torch.zeros(len(means), device=means.device).log_softmax(0)
        return means[:, None], log_variances[:, None], weights
