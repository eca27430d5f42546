"""Losses and likelihoods of vectors and sequences: numbers and words, some of which may be missing."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

_LEAST_VARIANCE = 1e-6
"""Of a decoder, in units of the column's own: none is to be surer than numbers are usually written down."""


def find_numbers(width: int, words: Sequence[slice]) -> list[int]:
    """Find the places of a vector (width,) that are numbers, and belong to no column of words."""
    taken = {place for columns in words for place in range(width)[columns]}
    return [place for place in range(width) if place not in taken]


def number_columns(width: int, words: Sequence[slice]) -> list[int]:
    """Number the columns of a vector (width,), and give each place its column's number: words share theirs."""
    begins = [True] * width
    for columns in words:
        begins[columns.start + 1 : columns.stop] = [False] * (columns.stop - columns.start - 1)
    return [number - 1 for number in itertools.accumulate(begins)]


def vector_error(raw: Tensor, examples: Tensor, words: Sequence[slice]) -> Tensor:
    """Compute what a reconstruction lacks, the mean over all columns that are not missing, a scalar.

    Of a number it is the squared error, of words the cross-entropy in nats.

    Args:
        raw: what the decoder gives, (N, D), of words their logits; or (N, C, T), which has no words.
        examples: of the same shape, NaN where a value is missing.
        words: the places of each column of words.
    """
    errors = [_square_differences(raw, examples, words)]
    errors += [-_log_probability(raw[:, one], examples[:, one])[:, None] for one in words]
    every = torch.cat(errors, dim=1)
    observed = ~torch.isnan(every)
    return torch.where(observed, every, 0.0).sum() / observed.sum().clamp(min=1)


def vector_log_likelihood(
    raw: Tensor, examples: Tensor, words: Sequence[slice], variance: Tensor | float | None
) -> Tensor:
    """Compute log p(x|z) of vectors (N, D) or sequences (N, C, T) of independent numbers and words, in nats; (N,).

    Numbers are normal with one variance, words categorical. What is missing is left out, which is its marginal.

    Args:
        raw, examples, words: see `vector_error`.
        variance: of the numbers; None for the one that is optimal for these examples.
    """
    squares = _square_differences(raw, examples, words)
    observed = ~torch.isnan(squares)
    used = _fit_variance(squares) if variance is None else torch.as_tensor(variance).to(raw)
    each = -0.5 * (squares / used + torch.log(2 * math.pi * used))
    total = torch.where(observed, each, 0.0).flatten(1).sum(1)
    for columns in words:
        total = total + _log_probability(raw[:, columns], examples[:, columns]).nan_to_num(0.0)
    return total


def fit_vector_variance(raw: Tensor, examples: Tensor, words: Sequence[slice]) -> Tensor:
    """Find the variance with which the numbers of examples are likeliest, a scalar without gradient."""
    return _fit_variance(_square_differences(raw, examples, words))


def _fit_variance(squares: Tensor) -> Tensor:
    return squares.detach().nanmean().nan_to_num(1.0).clamp(min=_LEAST_VARIANCE)


def _square_differences(raw: Tensor, examples: Tensor, words: Sequence[slice]) -> Tensor:
    """Square the differences of the numbers, (N, numbers) or (N, C, T), NaN where one is missing."""
    if not words:
        targets, given = examples, raw
    else:
        numbers = find_numbers(examples.shape[1], words)
        targets, given = examples[:, numbers], raw[:, numbers]
    missing = torch.isnan(targets)
    squares = (given - torch.where(missing, 0.0, targets)).square()
    return torch.where(missing, math.nan, squares)


def _log_probability(logits: Tensor, one_hot: Tensor) -> Tensor:
    """Compute the logarithm of the probability of each row's word, (N,), NaN where it is missing."""
    missing = torch.isnan(one_hot[:, 0])
    targets = torch.where(missing[:, None], 0.0, one_hot)
    return torch.where(missing, math.nan, (F.log_softmax(logits, dim=1) * targets).sum(1))
