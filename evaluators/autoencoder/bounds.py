"""Likelihoods of variational autoencoders, and bounds of them, from samples of codes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from evaluators.metrics.likelihood import (
    bernoulli_log_likelihood,
    continuous_bernoulli_log_likelihood,
    gaussian_log_likelihood,
    kl_to_standard_normal,
    optimal_variance,
)
from nas.data.dataset import batches

CODES = 4
"""How many codes of an image its bounds are of."""
_AT_ONCE = 250  # codes that are decoded in one batch
_OF_LOSSES = {"mse": "gaussian", "bce": "bernoulli"}


class AutoencoderModel(Protocol):
    """What a model must have to be trained as an autoencoder; variational ones have `posterior` as well."""

    variational: bool
    decoder: nn.Module
    output: nn.Module

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to codes (N, latent)."""

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Images (N, C, H, W) to mean and logarithm of the variance of their codes, (N, latent) each."""


def as_autoencoder(model: nn.Module) -> AutoencoderModel:
    """Give the model itself, typed as an AutoencoderModel."""
    return cast(AutoencoderModel, model)


def name_likelihood(hyperparameters: Mapping[str, Any]) -> str:
    """Name the likelihood that a variational model is trained with: what is decided, else that of the loss."""
    return str(hyperparameters.get("likelihood") or _OF_LOSSES[hyperparameters["loss"]])


def decode_unclipped(model: AutoencoderModel, raw: Tensor) -> Tensor:
    """Turn the decoder's output into images that may leave [0, 1], as clipped values would have no gradient."""
    if isinstance(model.output, nn.Hardtanh):
        return raw
    image: Tensor = model.output(raw)
    return image


def draw_code(mean: Tensor, log_variance: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw a code of each image (Kingma & Welling 2014, equation 4), and the noise it is made of; (N, latent) all."""
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return mean + (0.5 * log_variance).exp() * noise, noise


@torch.no_grad()
def draw_prior(model: AutoencoderModel, images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw codes from the prior N(0, 1) and decode them: as many images as `images`, and like these."""
    latent = model.posterior(images[:1])[0].shape[1]
    codes = torch.randn((len(images), latent), generator=generator, device=images.device)
    return torch.cat([model.output(model.decoder(part)) for part in torch.split(codes, _AT_ONCE)])


def log_likelihood(
    model: AutoencoderModel, raw: Tensor, images: Tensor, likelihood: str, variance: float | None = None
) -> Tensor:
    """Compute log p(x|z) of images (N, C, H, W), given what their codes are decoded to; (N,) nats.

    Args:
        raw: what the decoder gives, (N, C, H, W).
        likelihood: ``gaussian``, of one variance for all pixels, ``continuous_bernoulli`` or ``bernoulli``.
        variance: of the Gaussian; None for the one that is optimal for these images, which makes the likelihood that
            of a training and not of a model: a score needs a variance that its images have no say in.
    """
    if likelihood == "bernoulli":
        return bernoulli_log_likelihood(raw, images)
    if likelihood == "continuous_bernoulli":
        return continuous_bernoulli_log_likelihood(raw, images)
    means = decode_unclipped(model, raw)
    return gaussian_log_likelihood(means, images, optimal_variance(means, images) if variance is None else variance)


@torch.no_grad()
def fit_decoder_variance(model: AutoencoderModel, images: Tensor, generator: torch.Generator) -> float:
    """Find the variance of a Gaussian decoder that is optimal for training images (N, C, H, W) and samples of codes."""
    means = []
    for rows in batches(images):
        code, _ = draw_code(*model.posterior(images[rows]), generator)
        means.append(decode_unclipped(model, model.decoder(code)))
    return float(optimal_variance(torch.cat(means), images))


def measure_bounds(
    model: AutoencoderModel, images: Tensor, likelihood: str, generator: torch.Generator, variance: float | None
) -> dict[str, float]:
    """Measure bounds of log p(x) with `CODES` samples of each image's code: means over images (N, C, H, W), in nats.

    ``elbo``, the evidence lower bound (Kingma & Welling 2014, equation 3), and its two parts, ``log_likelihood`` and
    ``kl``; ``iwae_bound``; see `bound_likelihoods`.
    """
    found = bound_likelihoods(model, images, likelihood, generator, variance, CODES)
    reached, paid, weighted = found.mean(1).tolist()
    return {"elbo": reached - paid, "log_likelihood": reached, "kl": paid, "iwae_bound": weighted}


@torch.no_grad()
def bound_likelihoods(
    model: AutoencoderModel,
    images: Tensor,
    likelihood: str,
    generator: torch.Generator,
    variance: float | None,
    samples: int,
) -> Tensor:
    """Bound log p(x) of each of N images with samples of its code, (3, N) in nats.

    The rows: the expected log-likelihood; the divergence of the posterior from the prior, which the evidence lower
    bound is less; and the logarithm of the samples' mean of p(x|z) p(z) / q(z|x), which is a bound as well and expected
    to be no lower, the higher the more samples (Burda et al. 2016, equation 8 and theorem 1).

    Args:
        likelihood, variance: see `log_likelihood`.
        samples: one after another, so that memory does not grow with them.
    """
    parts = []
    for rows in batches(images):
        mean, log_variance = model.posterior(images[rows])
        likelihoods, ratios = [], []
        for _ in range(samples):
            code, noise = draw_code(mean, log_variance, generator)
            likelihoods.append(log_likelihood(model, model.decoder(code), images[rows], likelihood, variance))
            ratios.append(0.5 * torch.sum(noise.square() + log_variance - code.square(), dim=1))  # log p(z) / q(z|x)
        stacked = torch.stack(likelihoods)
        weights = stacked + torch.stack(ratios)
        divergence = kl_to_standard_normal(mean, log_variance).sum(1)
        parts.append(torch.stack((stacked.mean(0), divergence, weights.logsumexp(0) - math.log(samples))))
    return torch.cat(parts, dim=1)
