"""Log-likelihoods and divergences, in nats, one value an image: summed over pixels or latents, never averaged."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_LEAST_VARIANCE = 1 / (12 * 255**2)
"""That of the rounding of a pixel to 8 bits: no decoder is to be surer than the data, or its density has no bound."""


def bernoulli_log_likelihood(logits: Tensor, images: Tensor) -> Tensor:
    """Compute log p(x|z) with independent Bernoulli pixels, (N, C, H, W) twice to (N,)."""
    return -F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(1)


def gaussian_log_likelihood(means: Tensor, images: Tensor, variance: Tensor | float) -> Tensor:
    """Compute log p(x|z) with normal pixels of this variance, its constant included, (N, C, H, W) twice to (N,)."""
    squares = (means - images).square().flatten(1)
    constant = 0.5 * torch.log(2 * math.pi * torch.as_tensor(variance, device=images.device))
    return -squares.sum(1) / (2 * variance) - constant * squares.shape[1]


def optimal_variance(means: Tensor, images: Tensor) -> Tensor:
    """Find the variance with which images (N, C, H, W) are likeliest, a scalar without gradient: their squared error.

    Rybkin, Daniilidis & Levine 2021, section 4. The mean `gaussian_log_likelihood` of the same images is then
    -D/2 log(2 pi variance) - D/2 for D pixels. Its gradient is the same whether it flows through the variance or not,
    as the variance is where the likelihood is highest.
    """
    return F.mse_loss(means.detach(), images).clamp(min=_LEAST_VARIANCE)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Compute KL(N(mean, variance) || N(0, 1)) (Kingma & Welling 2014, appendix B), (N, latent) twice to (N,)."""
    return 0.5 * torch.sum(mean.square() + log_variance.exp() - 1 - log_variance, dim=1)
