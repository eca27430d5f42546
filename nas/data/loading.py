"""Data sets by name: loaded, sized and split."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from nas.core.errors import UserError
from nas.data.arrays import read_arrays
from nas.data.catalogue import data_directory, find_source
from nas.data.dataset import Dataset, Split
from nas.data.resizing import resize_images
from nas.data.source import NO_TABLE_OPTIONS, AskedKind, Request, TableOptions, UnsplitData
from nas.data.splitting import DEFAULT_TEST_SEED, SMALLEST_SIDE, split_data

_LARGEST_SIDE = 256


def load_data(
    name: str,
    *,
    seed: int = 0,
    test_seed: int = DEFAULT_TEST_SEED,
    train_size: int | None = None,
    image_size: int | None = None,
    data_dir: Path | None = None,
    strict: bool = False,
    normal: Sequence[str] = (),
    label: str | None = None,
    drop: Sequence[str] = (),
    columns: Sequence[str] = (),
    group: str | None = None,
    kind: AskedKind = "auto",
    window: int | None = None,
) -> Dataset:
    """A data set, split as nas.data.catalogue.SPLIT_RULE says and sized as SIZE_RULE says.

    Args:
        name: one of nas.data.catalogue.data_set_names, with a path for a PATH.
        data_dir: where downloads are kept.
        strict: refuse a folder with a picture that cannot be read.
        normal: the labels that training and validation part keep; see nas.data.splitting.split_data.
        label: of a table, the column with the labels.
        drop: of a table, columns that are not used.
        columns: of a table, the only columns that are used.
        group: of a table, the column by which rows are kept together in one part.
        kind: of arrays, what their examples are, where the shape leaves it open: (N, T) and (N, C, T) can be sequences.
        window: of recordings, how many samples make an example.

    Raises:
        UserError: the name is unknown, or the data cannot be used.
    """
    table = TableOptions(label, tuple(drop), tuple(columns), group)
    data = load_unsplit(
        name, image_size=image_size, data_dir=data_dir, strict=strict, table=table, kind=kind, window=window
    )
    return split_data(name, data, seed=seed, train_size=train_size, test_seed=test_seed, normal=normal)


def load_unsplit(
    name: str,
    *,
    image_size: int | None = None,
    data_dir: Path | None = None,
    strict: bool = False,
    table: TableOptions = NO_TABLE_OPTIONS,
    kind: AskedKind = "auto",
    window: int | None = None,
) -> UnsplitData:
    """All examples of a data set, sized but not split; see `load_data`."""
    source, argument = find_source(name)
    load_other = functools.partial(load_unsplit, image_size=image_size, data_dir=data_dir, strict=strict, table=table)
    source.refuse_others(kind, window)
    request = Request(name, argument, image_size, data_directory(data_dir), strict, load_other, table, kind, window)
    data = source.load(request)
    if not data.columns:
        table.refuse(f"{name} is no table")
    return _resize_data(data, image_size)


def load_arrays(
    arrays: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
    test_seed: int = DEFAULT_TEST_SEED,
    train_size: int | None = None,
    image_size: int | None = None,
    normal: Sequence[str] = (),
    kind: AskedKind = "auto",
) -> Dataset:
    """Arrays under the keys of an .npz (x_train, and y_train, x_test, y_test) as a data set; see `load_data`."""
    data = _resize_data(read_arrays("arrays", arrays, kind), image_size)
    return split_data("arrays", data, seed=seed, train_size=train_size, test_seed=test_seed, normal=normal)


def _resize_data(data: UnsplitData, side: int | None) -> UnsplitData:
    """The data with images of `side` x `side`, or as it is where `side` is None.

    Raises:
        UserError: `side` is out of range, or the data are no images.
    """
    if side is None:
        return data
    if data.pool.kind != "image":
        raise UserError("--image-size", side, "nothing but for images", why=f"the data are {data.pool.kind}s")
    if not SMALLEST_SIDE <= side <= _LARGEST_SIDE:
        raise UserError("--image-size", side, f"{SMALLEST_SIDE} to {_LARGEST_SIDE}")
    if data.pool.examples.shape[-2:] == (side, side):
        return data

    def resize(part: Split) -> Split:
        return replace(part, examples=resize_images(part.examples, side))

    test = None if data.test is None else resize(data.test)
    note = f"images were scaled to cover {side} x {side} and cropped at the centre"
    return replace(data, pool=resize(data.pool), test=test, notes=(*data.notes, note))
