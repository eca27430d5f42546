"""Autoencoders as their uses see them; see evaluators.examination."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from evaluators.autoencoder.bounds import AutoencoderModel, bound_likelihoods, fit_decoder_variance
from evaluators.autoencoder.corruption import change_examples, name_restoration
from evaluators.examination.subject import Subject


def make_subject(
    autoencoder: AutoencoderModel,
    hyperparameters: Mapping[str, Any],
    likelihood: str,
    fitted: Tensor,
    device: torch.device,
    seed: int,
) -> Subject:
    """Make of a trained autoencoder what its uses are measured on.

    Args:
        likelihood: that a variational model is scored with (see evaluators.autoencoder.bounds.log_likelihood); else "".
        fitted: training examples, whose variance a Gaussian decoder has.
    """
    generator, variance = torch.Generator(device).manual_seed(seed), None
    if likelihood == "gaussian":
        variance = fit_decoder_variance(autoencoder, fitted, generator)

    def bound(examples: Tensor, samples: int) -> Tensor:
        return bound_likelihoods(autoencoder, examples, likelihood, generator, variance, samples)

    def corrupt(examples: Tensor) -> Tensor:
        return change_examples(examples, hyperparameters, autoencoder.words, generator)[0]

    return Subject(
        autoencoder.encode,
        autoencoder.decode,
        autoencoder.reconstruct,
        bound if autoencoder.variational else None,
        corrupt if name_restoration(hyperparameters) else None,
        device,
    )
