"""The losses of autoencoders."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluators.autoencoder.bounds import AutoencoderModel, log_likelihood, name_likelihood
from evaluators.autoencoder.corruption import change_examples
from evaluators.autoencoder.posteriors import LadderPosterior
from evaluators.autoencoder.vectors import number_columns, vector_error

_CAPACITY_GROWS = 0.5
"""The share of a training in which a capacity rises from 0 to what it is then for the rest."""


def reconstruction_loss(
    model: AutoencoderModel,
    examples: Tensor,
    hyperparameters: Mapping[str, Any],
    progress: float,
    generator: torch.Generator,
) -> Tensor:
    """Compute the mean error of a reconstruction, over what the model is asked for.

    It is shown the example, or a corrupted one (Vincent et al. 2008) or a part of it (He et al. 2022), of which it is
    asked for what it is not shown; see evaluators.autoencoder.corruption.
    """
    seen, asked = change_examples(examples, hyperparameters, model.words, generator)
    return measure_error(model, model.decoder(model.encode(seen)), examples, hyperparameters, asked)


def measure_error(
    model: AutoencoderModel,
    raw: Tensor,
    examples: Tensor,
    hyperparameters: Mapping[str, Any],
    asked: Tensor | None = None,
) -> Tensor:
    """Compute how far what the decoder gives is from examples, (N, ...) both: a scalar, the mean over all values.

    Args:
        asked: which values count, (N, ...) bool; None for all.
    """
    raw = raw.float()
    if examples.ndim < 4:
        return vector_error(raw, examples if asked is None else torch.where(asked, examples, math.nan), model.words)
    if hyperparameters.get("loss", "mse") == "bce":
        errors = F.binary_cross_entropy_with_logits(raw, examples, reduction="none")
    else:
        errors = F.mse_loss(model.decode_unclipped(raw), examples, reduction="none")
    return errors.mean() if asked is None else errors[asked].mean()


def count_errors(model: AutoencoderModel, examples: Tensor) -> int:
    """Count what `measure_error` is the mean of, for one of the examples (N, ...).

    What papers add to the sum of an example's errors is divided by it.
    """
    values = examples[0].numel()
    return number_columns(values, model.words)[-1] + 1 if examples.ndim == 2 else values


def variational_loss(
    model: AutoencoderModel,
    examples: Tensor,
    hyperparameters: Mapping[str, Any],
    progress: float,
    generator: torch.Generator,
) -> Tensor:
    """Compute what the divergence of codes costs minus the log-likelihood; see `draw_bound`."""
    return draw_bound(model, examples, hyperparameters, progress, generator)[0]


def draw_bound(
    model: AutoencoderModel,
    examples: Tensor,
    hyperparameters: Mapping[str, Any],
    progress: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Compute the loss of a variational model, in nats, the mean over the batch; and give the codes (N, latent) drawn.

    It is what the divergence of codes costs minus the log-likelihood: with a cost of 1 a nat minus Kingma & Welling's
    bound; see `weigh_divergence`. A Gaussian likelihood has the variance that is optimal for the batch: with a fixed
    one, codes of images of small contrast are not worth their nats, and collapse. The divergence from a learned prior
    is estimated by the code that is drawn.
    """
    posterior = model.infer(examples)
    code, ratio = posterior.draw(generator)
    likelihoods = log_likelihood(model, model.decoder(code).float(), examples, name_likelihood(hyperparameters))
    divergences = posterior.divergence()
    mean = -ratio.mean(0, keepdim=True) if divergences is None else divergences.mean(0)
    return weigh_divergence(mean, hyperparameters, progress) - likelihoods.mean(), code


def ladder_loss(
    model: AutoencoderModel,
    examples: Tensor,
    hyperparameters: Mapping[str, Any],
    progress: float,
    generator: torch.Generator,
) -> Tensor:
    """Compute what the divergences of all layers cost minus the log-likelihood, in nats, the mean over the batch.

    Sønderby et al. 2016, equation 4: a layer's divergence is that from its prior given the layer above, as drawn.
    """
    posterior = model.infer(examples)
    assert isinstance(posterior, LadderPosterior)
    code, _, divergences = posterior.descend(generator)
    likelihoods = log_likelihood(model, model.decoder(code).float(), examples, name_likelihood(hyperparameters))
    return weigh_divergence(divergences.mean(0), hyperparameters, progress) - likelihoods.mean()


def weigh_divergence(divergences: Tensor, hyperparameters: Mapping[str, Any], progress: float) -> Tensor:
    """Compute what divergences from the prior cost, a scalar, given a batch's mean of each latent's or of all, in nats.

    With a ``capacity``, gamma |KL - C|, where C grows linearly to it in the first half of the training (Burgess et al.
    2018, equation 8). Else ``beta``, 1 where it is not decided, times KL (Higgins et al. 2017, equation 4), growing
    linearly over the first ``kl_warm_up`` of the training; of a latent with fewer nats than ``free_bits``, so many are
    counted (Kingma et al. 2016, equation 15), so that more of them cost nothing.
    """
    capacity, free = hyperparameters.get("capacity", "off"), hyperparameters.get("free_bits", "off")
    if capacity != "off":
        allowed = capacity * min(1.0, progress / _CAPACITY_GROWS)
        distance: Tensor = hyperparameters["gamma"] * torch.abs(divergences.sum() - allowed)
        return distance
    warm_up = hyperparameters["kl_warm_up"]
    beta: float = hyperparameters.get("beta", 1.0) * (min(1.0, progress / warm_up) if warm_up else 1.0)
    return beta * (divergences if free == "off" else divergences.clamp(min=free)).sum()
