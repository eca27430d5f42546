"""Scores reconstructions.

Images are (N, C, H, W) in [0, 1]; vectors (N, D) and sequences (N, C, T) have NaN where values are missing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from evaluators.metrics.exact import as_double
from nas.data.dataset import batches


def mean_squared_error(reconstructions: Tensor, images: Tensor) -> float:
    """Compute the mean over examples and all of their values, but for missing ones, of the squared difference."""
    total, count = 0.0, 0
    for part in batches(images):
        squares = (as_double(reconstructions[part]) - as_double(images[part])) ** 2
        if images.ndim < 4:
            squares = squares[~torch.isnan(images[part])]
        total, count = total + float(torch.sum(squares)), count + squares.numel()
    return total / max(1, count)


def psnr(reconstructions: Tensor, images: Tensor) -> float:
    """Compute the peak signal-to-noise ratio of the whole set, in decibels: 10 log10(1 / MSE), at most 100."""
    return -10 * math.log10(max(mean_squared_error(reconstructions, images), 1e-10))


def ssim(reconstructions: Tensor, images: Tensor) -> float:
    """Compute the mean structural similarity (Wang et al. 2004, equation 13) over all images, in [-1, 1].

    The window is the paper's Gaussian of 11 x 11 with sigma 1.5 if the image is at least twice as large. Smaller images
    get a uniform window of the largest odd size that is at most half of the smaller side, and at least 3.
    """
    side = min(images.shape[-2:])
    if side >= 22:
        distances = torch.arange(-5.0, 6.0)
        row = torch.exp(-((distances / 1.5) ** 2) / 2)
        row /= row.sum()
    else:
        size = max(3, side // 2 - 1 + side // 2 % 2)
        row = torch.full((size,), 1 / size)
    window = torch.outer(row, row).to(images)
    total = 0.0
    for chunk in batches(images):  # the intermediate maps are many times the images' size
        similarity = _map_similarity(reconstructions[chunk], images[chunk], window)
        total += float(similarity.mean()) * len(images[chunk])
    return total / len(images)


def _map_similarity(first: Tensor, second: Tensor, window: Tensor) -> Tensor:
    """Compute the similarity (N, C, H, W) around every pixel; beyond their edges the images are reflected.

    Args:
        window: the weights of a pixel's surroundings, (size, size), an odd size; they sum to 1.
    """
    channels, border = first.shape[1], len(window) // 2
    first, second = (nn.functional.pad(part, [border] * 4, mode="reflect") for part in (first, second))
    parts = torch.cat((first, second, first * first, second * second, first * second))
    means = nn.functional.conv2d(parts, window.expand(channels, 1, *window.shape), groups=channels)
    mean1, mean2, square1, square2, product = means.chunk(5)
    variances = (square1 - mean1**2).clamp(min=0) + (square2 - mean2**2).clamp(min=0)
    covariance = product - mean1 * mean2
    c1, c2 = 0.01**2, 0.03**2  # the paper's, for values up to 1
    luminance = (2 * mean1 * mean2 + c1) / (mean1**2 + mean2**2 + c1)
    return luminance * (2 * covariance + c2) / (variances + c2)
