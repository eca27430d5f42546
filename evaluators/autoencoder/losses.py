"""The losses of autoencoders."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from evaluators.metrics.likelihood import (
    bernoulli_log_likelihood,
    gaussian_log_likelihood,
    kl_to_standard_normal,
    optimal_variance,
)
from nas.data.dataset import batches


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


def training_loss(
    model: AutoencoderModel,
    images: Tensor,
    hyperparameters: Mapping[str, Any],
    progress: float,
    generator: torch.Generator,
) -> Tensor:
    """Compute the loss to be minimised, a scalar.

    Variational models: beta times the divergence minus the log-likelihood, summed over pixels and latents and
    averaged over the batch (Higgins et al. 2017, equation 4; beta 1 is Kingma & Welling's bound), beta growing
    linearly over the first ``kl_warm_up`` of the training. A normal likelihood has the variance that is optimal for
    the batch: with a fixed one, codes of images of small contrast are not worth their nats, and collapse. Others: the
    mean error over everything, of a reconstruction from images with noise where there is a ``noise_variance``.
    """
    kind = hyperparameters["loss"]
    if model.variational:
        likelihood, divergence = variational_bound(model, images, kind, generator)
        warm_up = hyperparameters["kl_warm_up"]
        beta = hyperparameters["beta"] * (min(1.0, progress / warm_up) if warm_up else 1.0)
        return torch.mean(beta * divergence - likelihood)
    variance = hyperparameters.get("noise_variance")
    seen = images if variance is None else add_noise(images, variance, generator)
    raw = model.decoder(model.encode(seen)).float()
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(raw, images)
    return F.mse_loss(_decode_unclipped(model, raw), images)


def add_noise(images: Tensor, variance: float, generator: torch.Generator) -> Tensor:
    """Add normal noise of this variance to images (Vincent et al. 2008), without clipping to [0, 1]."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + math.sqrt(variance) * noise


def variational_bound(
    model: AutoencoderModel,
    images: Tensor,
    loss: str,
    generator: torch.Generator,
    decoder_variance: float | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute the two parts of the evidence lower bound, (N,) nats each: log-likelihood of a sample, and divergence.

    Kingma & Welling 2014, equation 3, with the reparameterised sample of equation 4; `loss` names the
    likelihood: ``bce`` Bernoulli, ``mse`` normal of one variance for all pixels.

    Args:
        decoder_variance: of the normal likelihood; None for the one that is optimal for these images, which makes the
            bound that of a training and not of a model: a score needs a variance that its images have no say in.
    """
    raw, divergence = _decode_sample(model, images, generator)
    if loss == "bce":
        return bernoulli_log_likelihood(raw, images), divergence
    means = _decode_unclipped(model, raw)
    variance = optimal_variance(means, images) if decoder_variance is None else decoder_variance
    return gaussian_log_likelihood(means, images, variance), divergence


@torch.no_grad()
def fit_decoder_variance(model: AutoencoderModel, images: Tensor, generator: torch.Generator) -> float:
    """Find the variance of a normal decoder that is optimal for training images (N, C, H, W) and samples of codes."""
    means = [_decode_unclipped(model, _decode_sample(model, images[rows], generator)[0]) for rows in batches(images)]
    return float(optimal_variance(torch.cat(means), images))


def _decode_sample(model: AutoencoderModel, images: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Decode a sample of the code of each image, (N, C, H, W); and the codes' divergences from the prior, (N,)."""
    mean, log_variance = (values.float() for values in model.posterior(images))
    epsilon = torch.randn(mean.shape, generator=generator, device=mean.device)
    raw = model.decoder(mean + (0.5 * log_variance).exp() * epsilon)
    return raw.float(), kl_to_standard_normal(mean, log_variance)


def _decode_unclipped(model: AutoencoderModel, raw: Tensor) -> Tensor:
    """Turn the decoder's output into images that may leave [0, 1], as clipped values would have no gradient."""
    if isinstance(model.output, nn.Hardtanh):
        return raw
    image: Tensor = model.output(raw)
    return image
