"""Log-likelihoods of images, in nats: summed over pixels, never averaged; and divergences of codes."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

_LEAST_VARIANCE = 1 / (12 * 255**2)
"""That of the rounding of a pixel to 8 bits: no decoder is to be surer than the data, or its density has no bound."""


def bernoulli_log_likelihood(logits: Tensor, images: Tensor) -> Tensor:
    """Compute log p(x|z) with independent Bernoulli pixels, (N, C, H, W) twice to (N,).

    It is one of images whose every value is 0 or 1. Of grey values it is no logarithm of a density, as what it is the
    logarithm of does not integrate to 1.
    """
    return -F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1).sum(1)


def continuous_bernoulli_log_likelihood(logits: Tensor, images: Tensor) -> Tensor:
    """Compute log p(x|z) with continuous Bernoulli pixels, a density on [0, 1], (N, C, H, W) twice to (N,).

    Loaiza-Ganem & Cunningham 2019, equations 5 and 6, in terms of the logit a: a (x - 1/2) - log(sinh(a/2) / (a/2)).
    Around 0, where the quotient is 0/0, the logarithm is its series; elsewhere nothing overflows or cancels.
    """
    half = 0.5 * logits
    small = half.abs() < 0.25
    near = logits * (images - 0.5) - half**2 / 6 + half**4 / 180 - half**6 / 2835
    size = torch.where(small, torch.ones_like(logits), logits).abs()  # what is not taken needs a finite gradient too
    missed = torch.where(logits > 0, 1 - images, images)
    far = torch.log(size) - torch.log1p(-torch.exp(-size)) - size * missed
    return torch.where(small, near, far).flatten(1).sum(1)


def gaussian_log_likelihood(means: Tensor, images: Tensor, variance: Tensor | float) -> Tensor:
    """Compute log p(x|z) with normal pixels of this variance, its constant included, (N, C, H, W) twice to (N,)."""
    squares = (means - images).square().flatten(1)
    constant = 0.5 * torch.log(2 * math.pi * torch.as_tensor(variance, device=images.device))
    return -squares.sum(1) / (2 * variance) - constant * squares.shape[1]


def discretised_logistic_log_likelihood(
    log_weights: Tensor, means: Tensor, log_scales: Tensor, images: Tensor
) -> Tensor:
    """Compute log P(x|z) of the 8-bit values of images (N, C, H, W) by mixtures of logistic distributions; (N,).

    Salimans et al. 2017, section 2.1: the probability of one of 256 values is that of all that is rounded to it, of 0
    and 255 also of what lies beyond; all channels of a pixel are of one component. It is a probability and no density:
    log(S(a) - S(b)) = log S(a) + log S(-b) + log(1 - exp(b - a)), for sigmoids S at the upper and the lower edge, is
    exact in floats too.

    Args:
        log_weights: of the components, (N, components, 1, H, W).
        means, log_scales: (N, components, C, H, W), of values in [0, 1].
    """
    values = (images * 255).round()[:, None] / 255
    rates = (-log_scales).exp()
    upper, lower = ((values + edge / 255 - means) * rates for edge in (0.5, -0.5))
    width = rates / 255
    up_to = torch.where(values > 254.5 / 255, torch.zeros_like(upper), F.logsigmoid(upper))
    from_on = torch.where(values < 0.5 / 255, torch.zeros_like(lower), F.logsigmoid(-lower))
    inside = (values > 0.5 / 255) & (values < 254.5 / 255)
    each = up_to + from_on + torch.where(inside, torch.log(-torch.expm1(-width)), torch.zeros_like(width))
    return (log_weights.squeeze(2) + each.sum(2)).logsumexp(1).flatten(1).sum(1)


def optimal_variance(means: Tensor, images: Tensor) -> Tensor:
    """Find the variance with which images (N, C, H, W) are likeliest, a scalar without gradient: their squared error.

    Rybkin, Daniilidis & Levine 2021, section 4. The mean `gaussian_log_likelihood` of the same images is then
    -D/2 log(2 pi variance) - D/2 for D pixels. Its gradient is the same whether it flows through the variance or not,
    as the variance is where the likelihood is highest.
    """
    return F.mse_loss(means.detach(), images).clamp(min=_LEAST_VARIANCE)


def kl_to_standard_normal(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Compute KL(N(mean, variance) || N(0, 1)) of each latent (Kingma & Welling 2014, appendix B), (N, latent) all."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


def perplexity(counts: Tensor) -> float:
    """Compute how many evenly used symbols would say as much, exp of the entropy, given how often each is used."""
    shares = counts.double() / counts.sum()
    return float(torch.special.entr(shares).sum().exp())
