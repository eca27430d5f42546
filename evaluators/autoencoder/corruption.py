"""What a model is shown in place of an example: noise, other values, or none at all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluators.autoencoder.vectors import number_columns

_UNKNOWN = 0.5
"""What stands for a hidden value of an image, whose values lie in [0, 1]."""


def change_examples(
    examples: Tensor, hyperparameters: Mapping[str, Any], words: Sequence[slice], generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """Change examples (N, ...) as the hyperparameters say; without any of these they stay as they are.

    ``noise_variance`` or ``corruption`` corrupts (see `corrupt`), ``masked_share`` hides (see `hide`).

    Args:
        words: the places of each column of words of a vector.

    Returns:
        What a model is shown, and which values it is asked for, (N, ...) bool; None for all.
    """
    restoration = name_restoration(hyperparameters)
    if restoration == "masked_mse":
        share, patches = hyperparameters["masked_share"], hyperparameters.get("patches_a_side", 1)
        return hide(examples, share, patches, words, generator)
    if restoration == "denoising_mse":
        return corrupt(examples, hyperparameters, words, generator), None
    return examples, None


def name_restoration(hyperparameters: Mapping[str, Any]) -> str | None:
    """Name the metric of what a model makes of examples that are changed; None where they are not."""
    if "masked_share" in hyperparameters:
        return "masked_mse"
    return "denoising_mse" if {"noise_variance", "corruption"} & {*hyperparameters} else None


def corrupt(
    examples: Tensor, hyperparameters: Mapping[str, Any], words: Sequence[slice], generator: torch.Generator
) -> Tensor:
    """Corrupt examples (N, ...) by a ``corruption`` (Vincent et al. 2010, section 3.3); what is missing stays so.

    ``gaussian``, which is usual: noise of the ``noise_variance``. The others fall on each value with a probability, the
    ``corrupted_share``: ``masking`` makes it 0, ``salt_and_pepper`` 0 or 1, which of vectors and sequences are the
    column's or channel's least and greatest of the batch. Of vectors columns are hit, a column of words as one; salt
    and pepper are any word.
    """
    kind = hyperparameters.get("corruption", "gaussian")
    if kind == "gaussian":
        return add_noise(examples, hyperparameters["noise_variance"], generator)
    share, device = hyperparameters["corrupted_share"], examples.device
    if examples.ndim == 2:
        columns = number_columns(examples.shape[1], words)
        drawn = torch.rand((len(examples), columns[-1] + 1), generator=generator, device=device)[:, columns]
    else:
        drawn = torch.rand(examples.shape, generator=generator, device=device)
    hit = (drawn < share) & ~torch.isnan(examples)
    return torch.where(hit, 0.0 if kind == "masking" else _draw_extremes(examples, words, generator), examples)


def add_noise(images: Tensor, variance: float, generator: torch.Generator) -> Tensor:
    """Add normal noise of this variance to images (Vincent et al. 2008), without clipping to [0, 1]."""
    noise = torch.randn(images.shape, generator=generator, device=images.device)
    return images + math.sqrt(variance) * noise


def _draw_extremes(examples: Tensor, words: Sequence[slice], generator: torch.Generator) -> Tensor:
    """Draw salt or pepper for each value of examples (N, ...), of a column of words a word."""
    low: Tensor | float = 0.0
    high: Tensor | float = 1.0
    if examples.ndim < 4:
        alike = (0,) if examples.ndim == 2 else (0, 2)
        low = examples.nan_to_num(nan=math.inf).amin(alike, keepdim=True)
        high = examples.nan_to_num(nan=-math.inf).amax(alike, keepdim=True)
    salt = torch.rand(examples.shape, generator=generator, device=examples.device) < 0.5
    drawn = torch.where(salt, high, low).to(examples.dtype)
    for place in words if examples.ndim == 2 else ():
        count = place.stop - place.start
        word = torch.randint(count, (len(examples),), generator=generator, device=examples.device)
        drawn[:, place] = F.one_hot(word, count).to(drawn.dtype)
    return drawn


def hide(
    examples: Tensor, share: float, patches: int, words: Sequence[slice], generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Hide a share of each example (N, ...) at random (He et al. 2022), and give what is left, and what is hidden.

    Of vectors columns are hidden, a column of words as one: they are missing then. Of images square patches of all
    channels, `patches` of which cover the longer side: they are grey then. Of sequences stretches of all channels:
    they are missing then. One is hidden at least, and one is seen.

    Returns:
        What is seen, and which values are hidden, (N, ...) bool.
    """
    if examples.ndim == 2:
        columns = number_columns(examples.shape[1], words)
        hidden = _choose(len(examples), columns[-1] + 1, share, generator)[:, columns]
        return torch.where(hidden, math.nan, examples), hidden
    sizes = examples.shape[2:]
    side = -(-max(sizes) // patches)
    counts = [-(-size // side) for size in sizes]
    hidden = _choose(len(examples), math.prod(counts), share, generator).view(-1, 1, *counts)
    for dimension, size in enumerate(sizes, start=2):
        hidden = hidden.repeat_interleave(side, dimension).narrow(dimension, 0, size)
    hidden = hidden.expand(examples.shape)
    return torch.where(hidden, _UNKNOWN if len(sizes) == 2 else math.nan, examples), hidden


def _choose(rows: int, places: int, share: float, generator: torch.Generator) -> Tensor:
    """Choose a share of places in each row, as many in all: (rows, places) bool."""
    count = max(1, min(round(share * places), places - 1))
    drawn = torch.rand((rows, places), generator=generator, device=generator.device)
    return drawn.argsort(1).argsort(1) < count
