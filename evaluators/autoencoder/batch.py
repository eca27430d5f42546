"""What the losses of autoencoders are of, and what most of them are made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluators.autoencoder.bounds import AutoencoderModel, log_likelihood, name_likelihood
from evaluators.autoencoder.vectors import number_columns, vector_error

_CAPACITY_GROWS = 0.5
"""The share of a training in which a capacity rises from 0 to what it is then for the rest."""


@dataclass(frozen=True)
class Batch:
    """What a loss is of.

    Attributes:
        model: in training.
        examples: (N, ...).
        hyperparameters: those that the space has decided, and the ``family``.
        progress: of the training, from 0 to 1.
        generator: of random numbers, on the examples' device.
    """

    model: AutoencoderModel
    examples: Tensor
    hyperparameters: Mapping[str, Any]
    progress: float
    generator: torch.Generator

    def measure_error(self, raw: Tensor, asked: Tensor | None = None) -> Tensor:
        """Compute how far what the decoder gives, (N, ...), is from the examples: a scalar, the mean over all values.

        Args:
            asked: which values count, (N, ...) bool; None for all.
        """
        raw, examples = raw.float(), self.examples
        if examples.ndim < 4:
            wanted = examples if asked is None else torch.where(asked, examples, math.nan)
            return vector_error(raw, wanted, self.model.words)
        if self.hyperparameters.get("loss", "mse") == "bce":
            errors = F.binary_cross_entropy_with_logits(raw, examples, reduction="none")
        else:
            errors = F.mse_loss(self.model.decode_unclipped(raw), examples, reduction="none")
        return errors.mean() if asked is None else errors[asked].mean()

    def count_errors(self) -> int:
        """Count what `measure_error` is the mean of, for one of the examples.

        What papers add to the sum of an example's errors is divided by it.
        """
        values = self.examples[0].numel()
        return number_columns(values, self.model.words)[-1] + 1 if self.examples.ndim == 2 else values

    def log_likelihood(self, codes: Tensor) -> Tensor:
        """Compute log p(x|z) of the examples, given codes (N, values), in nats; (N,). See bounds.log_likelihood."""
        raw = self.model.decoder(codes).float()
        return log_likelihood(self.model, raw, self.examples, name_likelihood(self.hyperparameters))

    def weigh_divergence(self, divergences: Tensor) -> Tensor:
        """Compute what divergences from the prior cost, a scalar; see the function of this name."""
        return weigh_divergence(divergences, self.hyperparameters, self.progress)


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
