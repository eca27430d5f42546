"""Scores the reconstructions of autoencoders on a part of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.autoencoder.losses import add_noise, as_autoencoder, variational_bound
from evaluators.metrics.cost import PeakMemory
from evaluators.metrics.reconstruction import mean_squared_error, psnr, ssim
from evaluators.training.selection import Scores
from nas.data.dataset import batches

_SHOWN = 10  # images of a picture


@torch.no_grad()
def score_reconstructions(
    model: nn.Module,
    images: Tensor,
    hyperparameters: Mapping[str, Any],
    seed: int,
    memory: PeakMemory | None = None,
    decoder_variance: float | None = None,
) -> Scores:
    """Measure the metrics of an autoencoder's family, and give some images and reconstructions in rows.

    Args:
        model: is in evaluation mode afterwards.
        images: (N, C, H, W), from 0 to 1, on the model's device.
        seed: of the noise, and of the codes that are drawn.
        decoder_variance: of the normal likelihood of variational models with the loss ``mse``, which need it.
    """
    model.eval()
    autoencoder = as_autoencoder(model)
    noise = torch.Generator(images.device).manual_seed(seed)
    rebuilt, cleaned, parts = [], [], []
    variance = hyperparameters.get("noise_variance")
    noisy = None
    for part in batches(images):
        batch = images[part]
        rebuilt.append(model(batch))
        if memory is not None:
            memory.look()
        if variance is not None:
            noisy = add_noise(batch, variance, noise)
            cleaned.append(model(noisy))
        if autoencoder.variational:
            parts.append(variational_bound(autoencoder, batch, hyperparameters["loss"], noise, decoder_variance))
    reconstructions = torch.cat(rebuilt)
    metrics = {
        "mse": mean_squared_error(reconstructions, images),
        "psnr": psnr(reconstructions, images),
        "ssim": ssim(reconstructions, images),
    }
    rows = [images[:_SHOWN], reconstructions[:_SHOWN]]
    if variance is not None:
        metrics["denoising_mse"] = mean_squared_error(torch.cat(cleaned), images)
        again = add_noise(images[:_SHOWN], variance, torch.Generator(images.device).manual_seed(seed))
        rows = [images[:_SHOWN], again, model(again)]
    if parts:
        likelihood = float(torch.cat([likelihood for likelihood, _ in parts]).mean())
        divergence = float(torch.cat([divergence for _, divergence in parts]).mean())
        metrics |= {"elbo": likelihood - divergence, "log_likelihood": likelihood, "kl": divergence}
    return Scores(metrics, rows)
