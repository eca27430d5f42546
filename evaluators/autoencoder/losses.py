"""The losses of autoencoders."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluators.autoencoder.bounds import (
    AutoencoderModel,
    draw_code,
    log_likelihood,
    name_likelihood,
)
from evaluators.autoencoder.vectors import vector_error
from evaluators.metrics.likelihood import kl_to_standard_normal

_CAPACITY_GROWS = 0.5
"""The share of a training in which a capacity rises from 0 to what it is then for the rest."""


def reconstruction_loss(
    model: AutoencoderModel,
    examples: Tensor,
    hyperparameters: Mapping[str, Any],
    progress: float,
    generator: torch.Generator,
) -> Tensor:
    """Compute the mean error over everything of a reconstruction, from examples with noise where there is a variance.

    The noise has the ``noise_variance`` (Vincent et al. 2008).
    """
    variance = hyperparameters.get("noise_variance")
    seen = examples if variance is None else add_noise(examples, variance, generator)
    return measure_error(model, model.decoder(model.encode(seen)), examples, hyperparameters)


def measure_error(model: AutoencoderModel, raw: Tensor, examples: Tensor, hyperparameters: Mapping[str, Any]) -> Tensor:
    """Compute how far what the decoder gives is from examples, (N, ...) both: a scalar, the mean over all values."""
    raw = raw.float()
    if examples.ndim < 4:
        return vector_error(raw, examples, model.words)
    if hyperparameters["loss"] == "bce":
        return F.binary_cross_entropy_with_logits(raw, examples)
    return F.mse_loss(model.decode_unclipped(raw), examples)


def variational_loss(
    model: AutoencoderModel,
    examples: Tensor,
    hyperparameters: Mapping[str, Any],
    progress: float,
    generator: torch.Generator,
) -> Tensor:
    """Compute what the divergence of codes costs minus the log-likelihood, in nats, the mean over the batch.

    With a cost of 1 a nat it is minus Kingma & Welling's bound; see `weigh_divergence`. A Gaussian likelihood has the
    variance that is optimal for the batch: with a fixed one, codes of images of small contrast are not worth their
    nats, and collapse.
    """
    mean, log_variance = (values.float() for values in model.posterior(examples))
    code, _ = draw_code(mean, log_variance, generator)
    likelihoods = log_likelihood(model, model.decoder(code).float(), examples, name_likelihood(hyperparameters))
    divergences = kl_to_standard_normal(mean, log_variance).mean(0)
    return weigh_divergence(divergences, hyperparameters, progress) - likelihoods.mean()


def weigh_divergence(divergences: Tensor, hyperparameters: Mapping[str, Any], progress: float) -> Tensor:
    """Compute what divergences from the prior cost, a scalar, given a batch's mean of each latent's, (latent,) nats.

    With a ``capacity``, gamma |KL - C|, where C grows linearly to it in the first half of the training (Burgess et al.
    2018, equation 8). Else ``beta`` times KL (Higgins et al. 2017, equation 4), beta growing linearly over the first
    ``kl_warm_up`` of the training; of a latent with fewer nats than ``free_bits``, so many are counted (Kingma et al.
    2016, equation 15), so that more of them cost nothing.
    """
    capacity, free = hyperparameters.get("capacity", "off"), hyperparameters.get("free_bits", "off")
    if capacity != "off":
        allowed = capacity * min(1.0, progress / _CAPACITY_GROWS)
        distance: Tensor = hyperparameters["gamma"] * torch.abs(divergences.sum() - allowed)
        return distance
    warm_up = hyperparameters["kl_warm_up"]
    beta: float = hyperparameters["beta"] * (min(1.0, progress / warm_up) if warm_up else 1.0)
    return beta * (divergences if free == "off" else divergences.clamp(min=free)).sum()


def add_noise(images: Tensor, variance: float, generator: torch.Generator) -> Tensor:
    """Add normal noise of this variance to images (Vincent et al. 2008), without clipping to [0, 1]."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + math.sqrt(variance) * noise
