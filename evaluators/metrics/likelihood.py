"""Log-likelihoods and divergences, in nats, one value an image: summed over pixels or latents, never averaged."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

GAUSSIAN_VARIANCE = 0.5
"""The variance of the decoder's normal distribution: its negative log-likelihood is the sum of squared errors."""


def bernoulli_log_likelihood(logits: Tensor, images: Tensor) -> Tensor:
    """Compute log p(x|z) with independent Bernoulli pixels, (N, C, H, W) twice to (N,)."""
    return -F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(1)


def gaussian_log_likelihood(means: Tensor, images: Tensor) -> Tensor:
    """Compute log p(x|z) with normal pixels of variance 1/2, its constant included, (N, C, H, W) twice to (N,)."""
    squares = (means - images).square().flatten(1)
    constant = 0.5 * math.log(2 * math.pi * GAUSSIAN_VARIANCE)
    return -squares.sum(1) / (2 * GAUSSIAN_VARIANCE) - constant * squares.shape[1]


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Compute KL(N(mean, variance) || N(0, 1)) (Kingma & Welling 2014, appendix B), (N, latent) twice to (N,)."""
    return 0.5 * torch.sum(mean.square() + log_variance.exp() - 1 - log_variance, dim=1)
