"""Scores reconstructions. Images are (N, C, H, W) float32 in [0, 1]."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from nas.data.dataset import batches


def mean_squared_error(reconstructions: Tensor, images: Tensor) -> float:
    """Compute the mean over images, channels and pixels of the squared difference."""
    total = sum(
        float(torch.sum((reconstructions[part].double() - images[part].double()) ** 2)) for part in batches(images)
    )
    return total / images.numel()


def psnr(reconstructions: Tensor, images: Tensor) -> float:
    """Compute the peak signal-to-noise ratio of the whole set, in decibels: 10 log10(1 / MSE), at most 100."""
    return -10 * math.log10(max(mean_squared_error(reconstructions, images), 1e-10))


def ssim(reconstructions: Tensor, images: Tensor) -> float:
    """Compute the mean structural similarity (Wang et al. 2004), by torchmetrics, in [-1, 1].

    The window is the paper's Gaussian of 11 x 11 with sigma 1.5 if the image is at least twice as large. Smaller images
    get a uniform window of the largest odd size that is at most half of the smaller side, and at least 3.
    """
    side = min(images.shape[-2:])
    total = 0.0
    for chunk in batches(images):  # the intermediate maps are many times the images' size
        if side >= 22:
            value = structural_similarity_index_measure(reconstructions[chunk], images[chunk], data_range=1.0)
        else:
            half = side // 2
            window = max(3, half - 1 + half % 2)
            value = structural_similarity_index_measure(
                reconstructions[chunk],
                images[chunk],
                gaussian_kernel=False,
                kernel_size=window,
                data_range=1.0,
            )
        assert isinstance(value, Tensor)
        total += float(value) * len(images[chunk])
    return total / len(images)
