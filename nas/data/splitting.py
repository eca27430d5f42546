"""The split of a data set into training, validation and test part, by seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from nas.core.errors import UserError, unknown_name
from nas.data.columns import Column, name_columns, standardise
from nas.data.dataset import Dataset, Split
from nas.data.mapped import find_mapping
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
    normal: Sequence[str] = (),
    labelled: float = 1.0,
) -> Dataset:
    """The data in its three parts, as nas.data.catalogue.SPLIT_RULE says; `train_size` does not change the test part.

    Data with columns are standardised by their training part. Data with groups are split between groups, as near to the
    sizes of the rule as these allow.

    Args:
        seed: of training and validation part.
        test_seed: of the test part, where the data have none of their own: a training with another seed is tested on
            the same examples, and sees none of them.
        split: ``stratified`` where there are labels and no groups: every part has the share of each class that all
            examples have.
        normal: the labels that training and validation part keep; all where there are none. The test part keeps all,
            and of the others as many as the validation part has, if there are, stand beside that.
        labelled: see `hide_labels`.

    Raises:
        UserError: there are fewer than 10 examples, or fewer than `train_size` asks for, or fewer groups than parts;
            images are below 4 x 4; `normal` names no labels of these data, or all; or there are no labels to be hidden.
    """
    kind, shape = data.pool.kind, data.pool.examples.shape[1:]
    if kind == "image" and min(shape[1:]) < SMALLEST_SIDE:
        why = f"its images are {shape[1]} x {shape[2]}"
        raise UserError("--dataset", name, f"images of {SMALLEST_SIDE} x {SMALLEST_SIDE} or more", why=why)
    if len(data.pool) < _FEWEST:
        raise UserError("--dataset", name, f"{_FEWEST} {kind}s or more", why=f"has {len(data.pool)}")
    labels = data.pool.labels if split == "stratified" and data.groups is None else None
    test = data.test
    groups = torch.arange(len(data.pool)) if data.groups is None else data.groups
    fewest = 3 if test is None else 2
    if (number := len(np.unique(groups))) < fewest:
        raise UserError("--group", name, f"{fewest} groups or more, one for each part", why=f"has {number}")
    if test is None:
        order = _order(groups, labels, test_seed)
        count = _end_group(groups[order], min(10_000, max(1, len(order) // 5)), parts_after=2)
        test, order = data.pool.gather(order[:count]), order[count:]
        if seed != test_seed:  # else what remains is as it was when one seed decided all parts
            order = order[_order(groups[order], None if labels is None else labels[order], seed)]
    else:
        order = _order(groups, labels, seed)
    normal = _check_normal(normal, name, data.pool, data.classes)
    others = order[:0]
    if normal:
        kept = _is_normal(data.pool, data.classes, normal)[order]
        order, others = order[kept], order[~kept]
        _refuse_few_normal(normal, len(order))
    count = _end_group(groups[order], max(1, min(5_000, int(0.15 * len(order)))))
    if train_size is not None:
        if not _FEWEST_TO_TRAIN <= train_size <= len(order) - count:
            raise UserError("--train-size", train_size, f"{_FEWEST_TO_TRAIN} to {len(order) - count}")
        count = _end_group(groups[order], min(count, max(1, train_size // 4)))
    validation, order = data.pool.gather(order[:count]), order[count:]
    train = data.pool.gather(order if train_size is None else order[:train_size])
    size = sum(part.examples.nbytes for part in (train, validation, test) if find_mapping(part.examples) is not None)
    mapped = [f"{size / 1e9:.1f} GB of examples stay on disk, as they do not fit into memory"] if size else []
    notes = (*data.notes, *_describe_normal(normal), *mapped)
    anomalies = data.pool.gather(others[: len(validation)]) if len(others) else None
    parts = Dataset(name, train, validation, test, data.classes, notes, data.pictures, (), normal, anomalies)
    return hide_labels(_standardise(parts, data.columns) if data.columns else parts, labelled, seed)


def standardise_data(data: Dataset) -> Dataset:
    """Standardise vectors number by number, and sequences channel by channel, unless they have been, as tables are.

    Images are given back as they are.
    """
    if data.columns or data.kind == "image":
        return data
    return _standardise(data, name_columns(data.shape[0]))


def _standardise(data: Dataset, columns: Sequence[Column]) -> Dataset:
    names = ("train", "validation", "test", "validation_anomalies")
    parts = {name: part for name in names if (part := getattr(data, name)) is not None}
    scaled, fitted = standardise(*(part.examples for part in parts.values()), columns=columns)
    changed = {name: replace(part, examples=one) for (name, part), one in zip(parts.items(), scaled, strict=True)}
    return replace(data, **changed, columns=fitted)


def keep_normal(data: Dataset, normal: Sequence[str]) -> Dataset:
    """Keep of the training and the validation part of split data the examples with these labels; all for none.

    Raises:
        UserError: the data have no labels or not these, or all of them are normal, or too few examples.
    """
    normal = _check_normal(normal, data.name, data.train, data.classes)
    if not normal:
        return data
    known = [_is_normal(part, data.classes, normal) for part in (data.train, data.validation)]
    train, validation = (
        part.gather(its.nonzero().flatten()) for part, its in zip((data.train, data.validation), known, strict=True)
    )
    others, anomalies = (~known[1]).nonzero().flatten(), data.validation_anomalies
    if len(others):
        anomalies = data.validation.gather(others[: len(validation)])
    _refuse_few_normal(normal, len(train) + len(validation))
    if len(train) < _FEWEST_TO_TRAIN or not len(validation):
        raise UserError("--normal", ",".join(normal), "labels that training and validation part have examples of")
    notes = (*data.notes, *(note for note in _describe_normal(normal) if note not in data.notes))
    return replace(data, train=train, validation=validation, normal=normal, notes=notes, validation_anomalies=anomalies)


def hide_labels(data: Dataset, share: float, seed: int) -> Dataset:
    """Leave a share of each class of the training part, one example at least, whose labels models may be trained with.

    All other labels are there for scores alone; those of validation and test part are anyway.

    Args:
        share: above 0; of 1 nothing changes.

    Raises:
        UserError: the data have no labels.
    """
    if share == 1:
        return data
    labels = data.train.labels
    if labels is None:
        raise UserError("--labelled", share, "1, or data with labels", why=f"{data.name} has no labels")
    generator = np.random.default_rng([seed, 0x1ABE1])
    seen = torch.zeros(len(labels), dtype=torch.bool)
    for label in sorted(set(labels.tolist())):
        places = (labels == label).nonzero()[:, 0]
        count = max(1, round(share * len(places)))
        seen[places[torch.from_numpy(generator.permutation(len(places))[:count])]] = True
    note = f"{int(seen.sum())} of {len(seen)} labels of the training part are seen"
    return replace(data, train=replace(data.train, labelled=seen), notes=(*data.notes, note))


def _check_normal(normal: Sequence[str], name: str, part: Split, classes: tuple[str, ...]) -> tuple[str, ...]:
    """The normal labels in the order of the classes."""
    if not normal:
        return ()
    if part.labels is None:
        raise UserError("--normal", ",".join(normal), "labels, of data that have some", why=f"{name} has no labels")
    for label in normal:
        if label not in classes:
            raise unknown_name("--normal", label, classes)
    if len(set(normal)) == len(classes):
        why = f"nothing would be left of {name} to be an anomaly"
        raise UserError("--normal", ",".join(normal), f"some of {', '.join(classes)}, not all", why=why)
    return tuple(label for label in classes if label in normal)


def _describe_normal(normal: Sequence[str]) -> list[str]:
    return [f"trained on examples labelled {' or '.join(normal)} alone; the test part has all"] if normal else []


def _is_normal(part: Split, classes: tuple[str, ...], normal: Sequence[str]) -> torch.Tensor:
    assert part.labels is not None
    return torch.isin(part.labels, torch.tensor([classes.index(label) for label in normal]))


def _refuse_few_normal(normal: Sequence[str], count: int) -> None:
    if count < _FEWEST:
        raise UserError("--normal", ",".join(normal), f"labels of {_FEWEST} examples or more", why=f"{count} have them")


def _order(groups: Tensor, labels: Tensor | None, seed: int) -> Tensor:
    """Places of all examples, int64, in an order that the seed decides and in which those of a group are together.

    With labels, where every example is a group, each class is spread evenly: of n examples of a class the first stands
    at u/n of the way, u being uniform, and each other 1/n after the one before. So any stretch of the order has as many
    of the class as its share, give or take one.

    Args:
        groups: (N,) int64, the group of each example.
    """
    generator = np.random.default_rng([seed, 0xDA7A])
    _, first, group = np.unique(groups.numpy(), return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))  # groups are numbered as they appear
    place = np.argsort(generator.permutation(len(first)))
    order = np.argsort(place[number[group]], kind="stable")
    if labels is not None:
        found, classes, counts = np.unique(labels.numpy()[order], return_inverse=True, return_counts=True)
        ranks = np.empty(len(order))
        starts = np.cumsum(counts) - counts
        ranks[np.argsort(classes, kind="stable")] = np.arange(len(order)) - np.repeat(starts, counts)
        places = (ranks + generator.random(len(found))[classes]) / counts[classes]
        order = order[np.argsort(places, kind="stable")]
    return torch.from_numpy(order)


def _end_group(groups: Tensor, count: int, *, parts_after: int = 1) -> int:
    """How many of the first examples end with a group, as near to `count` as groups allow.

    Args:
        groups: (N,) int64, the group of each example, those of one together.
        parts_after: how many parts, of a group at least, are to be made of the rest.
    """
    ends = np.flatnonzero(np.diff(groups.numpy())) + 1
    ends = ends[: len(ends) + 1 - parts_after]
    return int(ends[np.abs(ends - count).argmin()])
