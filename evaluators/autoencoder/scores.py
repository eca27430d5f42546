"""Scores the reconstructions of autoencoders on a part of the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from evaluators.autoencoder.bounds import AutoencoderModel, draw_prior, measure_bounds, name_likelihood
from evaluators.autoencoder.corruption import change_examples, name_restoration
from evaluators.autoencoder.discrete import count_uses
from evaluators.metrics.cost import PeakMemory
from evaluators.metrics.likelihood import perplexity
from evaluators.metrics.reconstruction import mean_squared_error, psnr, ssim
from evaluators.pictures import draw_lines
from evaluators.training.selection import Scores
from nas.data.dataset import batches

_SHOWN = 10  # images of a picture
_BOUNDED = 2_000  # images at most that bounds are of, evenly spread: several codes of each are decoded


@torch.no_grad()
def score_reconstructions(
    autoencoder: AutoencoderModel,
    images: Tensor,
    hyperparameters: Mapping[str, Any],
    seed: int,
    memory: PeakMemory | None = None,
    decoder_variance: float | None = None,
) -> Scores:
    """Measure the metrics of an autoencoder's family, and give some images and reconstructions in rows.

    Of sequences the rows are drawings. Below those of models whose prior can be sampled are such samples.

    Args:
        autoencoder: in evaluation mode.
        images: (N, C, H, W), from 0 to 1, or vectors (N, D) or sequences (N, C, T), on the model's device.
        hyperparameters: of variational models ``likelihood`` is what they are scored with.
        seed: of the noise, and of the codes that are drawn.
        decoder_variance: of the Gaussian likelihood of variational models, which needs it.
    """
    noise = torch.Generator(images.device).manual_seed(seed)
    rebuilt, restored, originals = [], [], []
    restoration = name_restoration(hyperparameters)
    for part in batches(images):
        batch = images[part]
        rebuilt.append(autoencoder.select(part).reconstruct(batch))
        if memory is not None:
            memory.look()
        if restoration is not None:
            seen, asked = change_examples(batch, hyperparameters, autoencoder.words, noise)
            counted = slice(None) if asked is None else asked & ~torch.isnan(batch)
            restored.append(autoencoder.reconstruct(seen)[counted])
            originals.append(batch[counted])
    reconstructions = torch.cat(rebuilt)
    metrics = {"mse": mean_squared_error(reconstructions, images)}
    if images.ndim == 4:
        metrics |= {"psnr": psnr(reconstructions, images), "ssim": ssim(reconstructions, images)}
    rows = [images[:_SHOWN], reconstructions[:_SHOWN]]
    if restoration is not None:
        metrics[restoration] = mean_squared_error(torch.cat(restored), torch.cat(originals))
        again = torch.Generator(images.device).manual_seed(seed)
        seen, _ = change_examples(images[:_SHOWN], hyperparameters, autoencoder.words, again)
        rows = [images[:_SHOWN], seen, autoencoder.reconstruct(seen)]
    if autoencoder.finds_classes and autoencoder.labels is not None:
        guessed = torch.cat([autoencoder.guess_labels(images[part]) for part in batches(images)])
        metrics["accuracy"] = (guessed == autoencoder.labels).double().mean().item()
    if autoencoder.has_codebook:
        metrics["codebook_perplexity"] = perplexity(count_uses(autoencoder, images))
    if autoencoder.variational:
        some = slice(None, None, -(-len(images) // _BOUNDED))
        likelihood, few = name_likelihood(hyperparameters), autoencoder.select(some)
        metrics |= measure_bounds(few, images[some], likelihood, noise, decoder_variance)
    if autoencoder.samples_prior:
        rows.append(draw_prior(autoencoder, images[:_SHOWN], noise.manual_seed(seed)))
    if images.ndim == 2:
        return Scores(metrics)
    return Scores(metrics, rows if images.ndim == 4 else draw_lines(rows))
