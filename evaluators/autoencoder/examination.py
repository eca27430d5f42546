"""Autoencoders as their uses see them; see evaluators.examination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from evaluators.autoencoder.bounds import AutoencoderModel, bound_likelihoods, fit_decoder_variance
from evaluators.autoencoder.corruption import change_examples, name_restoration
from evaluators.autoencoder.discrete import count_uses
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
    subject = Subject(autoencoder.encode, autoencoder.decode, autoencoder.reconstruct, device=device)
    if autoencoder.discrete:  # what lies between codes is the nearest one
        subject = replace(subject, decode=lambda codes: autoencoder.decode(autoencoder.module.snap(codes)))
    if autoencoder.has_codebook:
        subject = replace(subject, count_uses=lambda examples: count_uses(autoencoder, examples).cpu())
    generator = torch.Generator(device).manual_seed(seed)
    if name_restoration(hyperparameters):

        def corrupt(examples: Tensor) -> Tensor:
            return change_examples(examples, hyperparameters, autoencoder.words, generator)[0]

        subject = replace(subject, corrupt=corrupt)
    if not autoencoder.variational:
        return subject
    variance = None
    if likelihood == "gaussian":
        variance = fit_decoder_variance(autoencoder, fitted, generator)

    def bound(examples: Tensor, samples: int) -> Tensor:
        return bound_likelihoods(autoencoder, examples, likelihood, generator, variance, samples)

    return replace(subject, bound=bound, mean=lambda examples: autoencoder.infer(examples).mean)
