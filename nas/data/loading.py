"""Data sets by name: loaded, sized and split."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.errors import UserError
from nas.data.arrays import find_names, name_arrays, read_arrays
from nas.data.catalogue import data_directory, find_source
from nas.data.channels import convert_channels
from nas.data.dataset import Dataset
from nas.data.reading import COUNTS, GIVEN_AS_OBJECT, Reading
from nas.data.resizing import resize_images
from nas.data.source import Request, UnsplitData
from nas.data.splitting import DEFAULT_TEST_SEED, SplitRule, split_data

if TYPE_CHECKING:
    from torch import Tensor


def load_data(
    name: str,
    *,
    seed: int = 0,
    test_seed: int = DEFAULT_TEST_SEED,
    train_size: int | None = None,
    split: SplitRule = "stratified",
    data_dir: Path | None = None,
    normal: Sequence[str] = (),
    labelled: float = 1.0,
    **reading: Any,
) -> Dataset:
    """A data set, split as nas.data.catalogue.SPLIT_RULE says and sized as SIZE_RULE says.

    Args:
        name: one of nas.data.catalogue.data_set_names, with a path for a PATH.
        data_dir: where downloads are kept.
        normal: the labels that training and validation part keep; see nas.data.splitting.split_data.
        labelled: the share of the training part whose labels may be seen; see nas.data.splitting.hide_labels.
        reading: the fields of nas.data.reading.Reading: ``image_size``, ``channels``, ``label``, ``drop`` and so on.

    Raises:
        UserError: the name is unknown, or the data cannot be used.
    """
    data = load_unsplit(name, Reading(**reading), data_dir=data_dir)
    sizes: dict[str, Any] = {"seed": seed, "train_size": train_size, "test_seed": test_seed, "split": split}
    return split_data(name, data, normal=normal, labelled=labelled, **sizes)


def load_unsplit(name: str, reading: Reading, *, data_dir: Path | None = None) -> UnsplitData:
    """All examples of a data set, sized but not split; see `load_data`."""
    source, argument = find_source(name)
    if source.argument != "NAME":
        reading.refuse_others(source.takes, name)
    load_other = functools.partial(load_unsplit, reading=reading, data_dir=data_dir)
    request = Request(name, argument, reading, data_directory(data_dir), load_other)
    return _fit_images(source.load(request), reading, request.directory)


def load_arrays(
    given: Any,
    *,
    seed: int = 0,
    test_seed: int = DEFAULT_TEST_SEED,
    train_size: int | None = None,
    split: SplitRule = "stratified",
    normal: Sequence[str] = (),
    labelled: float = 1.0,
    **reading: Any,
) -> Dataset:
    """Arrays or tensors as a data set: examples alone, a pair with labels, or a mapping by the names of an .npz.

    Raises:
        UserError: they cannot be used.
    """
    options = Reading(**reading)
    options.refuse_others(("image_shape", "kind"), why=GIVEN_AS_OBJECT)
    arrays = name_arrays(given)
    names, notes = find_names(list(arrays))
    directory = data_directory(None)
    data = read_arrays("arrays", {key: arrays[name] for key, name in names.items()}, options, directory, notes)
    data = _fit_images(data, options, directory)
    sizes: dict[str, Any] = {"seed": seed, "train_size": train_size, "test_seed": test_seed, "split": split}
    return split_data("arrays", data, normal=normal, labelled=labelled, **sizes)


def _fit_images(data: UnsplitData, reading: Reading, directory: Path) -> UnsplitData:
    """The data with images of the size and with the channels that are asked for.

    Args:
        directory: see nas.data.mapped.allocate.

    Raises:
        UserError: these are out of range, or the data are no images.
    """
    data = replace(data, pictures=replace(data.pictures, background=reading.colour))
    for option, value in (("--image-size", reading.image_size), ("--channels", reading.channels)):
        if value not in (None, "auto") and data.pool.kind != "image":
            raise UserError(option, value, "nothing but for images", why=f"the data are {data.pool.kind}s")
    if reading.channels != "auto" and data.pool.examples.shape[1] != (count := COUNTS[reading.channels]):
        if data.pool.examples.shape[1] == 2:
            why = "the images have 2 channels, which are none of these"
            raise UserError("--channels", reading.channels, "auto", why=why)
        note = f"images have {count} channel{'s' if count > 1 else ''} instead of {data.pool.examples.shape[1]}"
        data = _change_images(data, lambda images: convert_channels(images, count, reading.colour, directory), note)
    if (size := reading.size) is not None and tuple(data.pool.examples.shape[-2:]) != size:
        note = f"images were scaled to cover {size[0]} x {size[1]} and cropped at the centre"
        data = _change_images(data, lambda images: resize_images(images, size, directory), note)
    return data


def _change_images(data: UnsplitData, change: Callable[[Tensor], Tensor], note: str) -> UnsplitData:
    pool, test = (part and replace(part, examples=change(part.examples)) for part in (data.pool, data.test))
    assert pool is not None
    return replace(data, pool=pool, test=test, notes=(*data.notes, note))
