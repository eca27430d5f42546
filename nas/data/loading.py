"""Data sets by name: loaded, resized by one rule, and split once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from nas.core.errors import UserError, unknown_name
from nas.data.catalogue import TORCHVISION, TRANSFORMED, data_directory, data_set_names
from nas.data.dataset import Dataset, Split
from nas.data.resizing import resized
from nas.data.sources import Source

_SMALLEST_SIDE, _LARGEST_SIDE = 4, 256
_FEWEST = 10
_FEWEST_TO_TRAIN = 2  # batch normalisation needs two


def load_data(
    name: str,
    *,
    seed: int = 0,
    train_size: int | None = None,
    image_size: int | None = None,
    data_dir: Path | None = None,
    strict: bool = False,
) -> Dataset:
    """A data set, split as nas.data.catalogue.SPLIT_RULE says and sized as SIZE_RULE says.

    Args:
        name: one of nas.data.catalogue.data_set_names, with a path for a PATH.
        data_dir: where downloads are kept.
        strict: refuse a folder with a picture that cannot be read.

    Raises:
        UserError: an unknown name, or data that cannot be used.
    """
    source = data_source(name, image_size=image_size, data_dir=data_dir, strict=strict)
    return split(name, source, seed=seed, train_size=train_size)


def data_source(
    name: str, *, image_size: int | None = None, data_dir: Path | None = None, strict: bool = False
) -> Source:
    """All images of a data set, sized but not split; see `load_data`."""
    word, _, rest = name.partition(":")
    if word not in TRANSFORMED:
        return _sized(_source(name, image_size, data_directory(data_dir), strict), image_size)
    if not rest:
        raise UserError("--dataset", name, f"{word}:NAME", why="names no data set")
    from nas.data.sources.transformed import transformed

    return transformed(data_source(rest, image_size=image_size, data_dir=data_dir, strict=strict), word)


def from_arrays(
    arrays: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
    train_size: int | None = None,
    image_size: int | None = None,
) -> Dataset:
    """Arrays under the keys of an .npz (x_train, and y_train, x_test, y_test) as a data set."""
    from nas.data.sources import npz_file

    source = npz_file.from_arrays("arrays", arrays)
    return split("arrays", _sized(source, image_size), seed=seed, train_size=train_size)


def _source(name: str, image_size: int | None, directory: Path, strict: bool) -> Source:
    kind, colon, rest = name.partition(":")
    if name == "digits":
        from nas.data.sources import digits

        return digits.load()
    if name in TORCHVISION:
        from nas.data.sources import torchvision_sets

        return torchvision_sets.load(name, directory, image_size)
    if colon and kind in ("folder", "csv", "npz"):
        if not rest:
            raise UserError("--dataset", name, f"{kind}:PATH", why="names no path")
        path = _existing(name, rest)
        if kind == "folder":
            from nas.data.sources import folder

            return folder.load(name, path, image_size, strict)
        if kind == "csv":
            from nas.data.sources import csv_file

            return csv_file.load(name, path)
        from nas.data.sources import npz_file

        return npz_file.load(name, path)
    raise unknown_name("--dataset", name, data_set_names())


def _existing(name: str, text: str) -> Path:
    try:
        path = Path(text).expanduser()
        path.stat()
    except FileNotFoundError:
        raise UserError("--dataset", name, "a path that exists", why="does not exist") from None
    except (OSError, ValueError, RuntimeError) as error:  # too long, with a null byte, of an unknown user
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UserError("--dataset", name, "a path that can be read", why=why) from None
    return path


def _sized(source: Source, image_size: int | None) -> Source:
    if image_size is not None and not _SMALLEST_SIDE <= image_size <= _LARGEST_SIDE:
        raise UserError("--image-size", image_size, f"{_SMALLEST_SIDE} to {_LARGEST_SIDE}")
    height, width = source.pool.examples.shape[-2:]
    if image_size is None or (height, width) == (image_size, image_size):
        return source
    parts = [
        None if part is None else Split(resized(part.examples, image_size), part.labels, part.vectors)
        for part in (source.pool, source.test)
    ]
    assert parts[0] is not None
    note = f"images were scaled to cover {image_size} x {image_size} and cropped at the centre"
    return Source(parts[0], parts[1], source.classes, (*source.notes, note))


def split(name: str, source: Source, *, seed: int, train_size: int | None) -> Dataset:
    """Split a source into its three parts; the test part does not depend on `train_size`.

    Raises:
        UserError: images smaller than 4 x 4, fewer than 10 of them, or fewer than `train_size` asks for.
    """
    shape = tuple(source.pool.examples.shape[1:])
    if min(shape[1:]) < _SMALLEST_SIDE:
        raise UserError("--dataset", name, "images of 4 x 4 or more", why=f"its images are {shape[1]} x {shape[2]}")
    if len(source.pool) < _FEWEST:
        raise UserError("--dataset", name, "10 images or more", why=f"has {len(source.pool)}")
    order = torch.from_numpy(np.random.default_rng([seed, 0xDA7A]).permutation(len(source.pool)))
    test = source.test
    if test is None:
        count = min(10_000, max(1, len(order) // 5))
        test, order = source.pool.take(order[:count]), order[count:]
    count = max(1, min(5_000, int(0.15 * len(order))))
    if train_size is not None:
        if not _FEWEST_TO_TRAIN <= train_size <= len(order) - count:
            raise UserError("--train-size", train_size, f"{_FEWEST_TO_TRAIN} to {len(order) - count}")
        count = min(count, max(1, train_size // 4))
    validation, order = source.pool.take(order[:count]), order[count:]
    train = source.pool.take(order if train_size is None else order[:train_size])
    return Dataset(name, train, validation, test, source.classes, source.notes)
