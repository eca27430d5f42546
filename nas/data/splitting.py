"""The split of a data set into training, validation and test part, by seeds."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nas.core.errors import UserError
from nas.data.dataset import Dataset
from nas.data.reading import SMALLEST_SIDE
from nas.data.source import UnsplitData

SplitRule = Literal["stratified", "shuffled"]
"""How the examples are ordered before they are split: as many of each class everywhere, or as it comes."""

DEFAULT_TEST_SEED = 0

_FEWEST = 10
_FEWEST_TO_TRAIN = 2  # batch normalisation needs two


def split_data(
    name: str,
    data: UnsplitData,
    *,
    seed: int,
    train_size: int | None,
    test_seed: int = DEFAULT_TEST_SEED,
    split: SplitRule = "stratified",
) -> Dataset:
    """The data in its three parts, as nas.data.catalogue.SPLIT_RULE says; `train_size` does not change the test part.

    Args:
        seed: of training and validation part.
        test_seed: of the test part, where the data have none of their own: a training with another seed is tested on
            the same examples, and sees none of them.
        split: ``stratified`` where there are labels: every part has the share of each class that all examples have.

    Raises:
        UserError: there are fewer than 10 examples, or fewer than `train_size` asks for; or images are below 4 x 4.
    """
    kind, shape = data.pool.kind, data.pool.examples.shape[1:]
    if kind == "image" and min(shape[1:]) < SMALLEST_SIDE:
        why = f"its images are {shape[1]} x {shape[2]}"
        raise UserError("--dataset", name, f"images of {SMALLEST_SIDE} x {SMALLEST_SIDE} or more", why=why)
    if len(data.pool) < _FEWEST:
        raise UserError("--dataset", name, f"{_FEWEST} {kind}s or more", why=f"has {len(data.pool)}")
    labels = data.pool.labels if split == "stratified" else None
    test = data.test
    if test is None:
        order = _order(len(data.pool), labels, test_seed)
        count = min(10_000, max(1, len(order) // 5))
        test, order = data.pool.take(order[:count]), order[count:]
        if seed != test_seed:  # else what remains is as it was when one seed decided all parts
            order = order[_order(len(order), None if labels is None else labels[order], seed)]
    else:
        order = _order(len(data.pool), labels, seed)
    count = max(1, min(5_000, int(0.15 * len(order))))
    if train_size is not None:
        if not _FEWEST_TO_TRAIN <= train_size <= len(order) - count:
            raise UserError("--train-size", train_size, f"{_FEWEST_TO_TRAIN} to {len(order) - count}")
        count = min(count, max(1, train_size // 4))
    validation, order = data.pool.take(order[:count]), order[count:]
    train = data.pool.take(order if train_size is None else order[:train_size])
    return Dataset(name, train, validation, test, data.classes, data.notes, data.pictures)


def _order(count: int, labels: Tensor | None, seed: int) -> Tensor:
    """The numbers below `count`, int64, in an order that the seed decides; with labels each class is spread evenly.

    Of n examples of a class the first stands at u/n of the way, u being uniform, and each other 1/n after the one
    before. So any stretch of the order has as many of the class as its share, give or take one.
    """
    generator = np.random.default_rng([seed, 0xDA7A])
    order = generator.permutation(count)
    if labels is not None:
        found, classes, counts = np.unique(labels.numpy()[order], return_inverse=True, return_counts=True)
        ranks = np.empty(count)
        ranks[np.argsort(classes, kind="stable")] = np.arange(count) - np.repeat(np.cumsum(counts) - counts, counts)
        places = (ranks + generator.random(len(found))[classes]) / counts[classes]
        order = order[np.argsort(places, kind="stable")]
    return torch.from_numpy(order)
