"""The split of a data set into training, validation and test part, by a seed."""

from __future__ import annotations

import numpy as np
import torch

from nas.core.errors import UserError
from nas.data.dataset import Dataset
from nas.data.source import UnsplitData

SMALLEST_SIDE = 4
"""The least height and width of images."""

_FEWEST = 10
_FEWEST_TO_TRAIN = 2  # batch normalisation needs two


def split_data(name: str, data: UnsplitData, *, seed: int, train_size: int | None) -> Dataset:
    """The data in its three parts, as nas.data.catalogue.SPLIT_RULE says; `train_size` does not change the test part.

    Raises:
        UserError: there are fewer than 10 examples, or fewer than `train_size` asks for; or images are below 4 x 4.
    """
    kind, shape = data.pool.kind, data.pool.examples.shape[1:]
    if kind == "image" and min(shape[1:]) < SMALLEST_SIDE:
        why = f"its images are {shape[1]} x {shape[2]}"
        raise UserError("--dataset", name, f"images of {SMALLEST_SIDE} x {SMALLEST_SIDE} or more", why=why)
    if len(data.pool) < _FEWEST:
        raise UserError("--dataset", name, f"{_FEWEST} {kind}s or more", why=f"has {len(data.pool)}")
    order = torch.from_numpy(np.random.default_rng([seed, 0xDA7A]).permutation(len(data.pool)))
    test = data.test
    if test is None:
        count = min(10_000, max(1, len(order) // 5))
        test, order = data.pool.take(order[:count]), order[count:]
    count = max(1, min(5_000, int(0.15 * len(order))))
    if train_size is not None:
        if not _FEWEST_TO_TRAIN <= train_size <= len(order) - count:
            raise UserError("--train-size", train_size, f"{_FEWEST_TO_TRAIN} to {len(order) - count}")
        count = min(count, max(1, train_size // 4))
    validation, order = data.pool.take(order[:count]), order[count:]
    train = data.pool.take(order if train_size is None else order[:train_size])
    return Dataset(name, train, validation, test, data.classes, data.notes)
