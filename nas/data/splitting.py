"""The split of a data set into training, validation and test part, by seeds."""

from __future__ import annotations

import numpy as np
import torch

from nas.core.errors import UserError
from nas.data.dataset import Dataset
from nas.data.source import UnsplitData

SMALLEST_SIDE = 4
"""The least height and width of images."""

DEFAULT_TEST_SEED = 0

_FEWEST = 10
_FEWEST_TO_TRAIN = 2  # batch normalisation needs two


def split_data(
    name: str, data: UnsplitData, *, seed: int, train_size: int | None, test_seed: int = DEFAULT_TEST_SEED
) -> Dataset:
    """The data in its three parts, as nas.data.catalogue.SPLIT_RULE says; `train_size` does not change the test part.

    Args:
        seed: of training and validation part.
        test_seed: of the test part, where the data have none of their own: a training with another seed is tested on
            the same examples, and sees none of them.

    Raises:
        UserError: there are fewer than 10 examples, or fewer than `train_size` asks for; or images are below 4 x 4.
    """
    kind, shape = data.pool.kind, data.pool.examples.shape[1:]
    if kind == "image" and min(shape[1:]) < SMALLEST_SIDE:
        why = f"its images are {shape[1]} x {shape[2]}"
        raise UserError("--dataset", name, f"images of {SMALLEST_SIDE} x {SMALLEST_SIDE} or more", why=why)
    if len(data.pool) < _FEWEST:
        raise UserError("--dataset", name, f"{_FEWEST} {kind}s or more", why=f"has {len(data.pool)}")
    test = data.test
    if test is None:
        order = _shuffle(len(data.pool), test_seed)
        count = min(10_000, max(1, len(order) // 5))
        test, order = data.pool.take(order[:count]), order[count:]
        if seed != test_seed:  # else what remains is as it was when one seed decided all parts
            order = order[_shuffle(len(order), seed)]
    else:
        order = _shuffle(len(data.pool), seed)
    count = max(1, min(5_000, int(0.15 * len(order))))
    if train_size is not None:
        if not _FEWEST_TO_TRAIN <= train_size <= len(order) - count:
            raise UserError("--train-size", train_size, f"{_FEWEST_TO_TRAIN} to {len(order) - count}")
        count = min(count, max(1, train_size // 4))
    validation, order = data.pool.take(order[:count]), order[count:]
    train = data.pool.take(order if train_size is None else order[:train_size])
    return Dataset(name, train, validation, test, data.classes, data.notes)


def _shuffle(count: int, seed: int) -> torch.Tensor:
    """The numbers below `count`, int64, in an order that the seed decides."""
    return torch.from_numpy(np.random.default_rng([seed, 0xDA7A]).permutation(count))
