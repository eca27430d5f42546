"""NumPy's arrays, checked and made into examples."""

from __future__ import annotations

import contextlib
import functools
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas.core.errors import UserError
from nas.data.dataset import Split
from nas.data.labels import number_labels, read_labels
from nas.data.layout import find_layout, move_channels_first, shape_rows
from nas.data.mapped import allocate, map_array, memory_limit
from nas.data.pieces import slice_rows
from nas.data.reading import Reading
from nas.data.source import UnsplitData
from nas.data.values import RANGES, find_value_rule

NAMES: dict[str, tuple[str, ...]] = {
    "x_train": ("train_images", "x", "images", "data", "arr_0"),
    "y_train": ("train_labels", "y", "labels", "targets", "arr_1"),
    "c_train": (),
    "f_train": ("factors",),
    "x_test": ("test_images",),
    "y_test": ("test_labels",),
    "c_test": (),
    "f_test": (),
}
"""The names of arrays, examples, labels, vectors that a model is told of the examples, and factors that they were made
of, and what they are called elsewhere, the likeliest first; capitals do not matter."""

_ALLOWED = {
    "image": f"(N, H, W), (N, H, W, C) or (N, C, H, W) with C from 1 to 4: {RANGES}",
    "vector": "(N, D) of finite numbers",
    "sequence": "(N, T) or (N, C, T) of numbers, with NaN for what is missing",
}
_EXAMPLES = f"{_ALLOWED['image']}; or vectors {_ALLOWED['vector']}"
_DIMENSIONS = {"auto": (2, 3, 4), "image": (3, 4), "vector": (2,), "sequence": (2, 3)}
# what zipfile, zlib, lzma and NumPy say to damaged files
_BROKEN = (
    OSError, ValueError, EOFError, SyntaxError, NotImplementedError, RuntimeError, OverflowError, MemoryError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
)  # fmt: skip


@contextlib.contextmanager
def refuse_damage(name: str, allowed: str) -> Iterator[None]:
    """Turn what NumPy raises at a damaged file, or at one that would have to be unpickled, into a UserError."""
    try:
        yield
    except _BROKEN as error:
        text = " ".join(str(error).split())[:120] or type(error).__name__
        why = "cannot be read without unpickling" if "pickle" in text else text
        raise UserError("--dataset", name, allowed, why=why) from None


def name_arrays(given: Any) -> dict[str, np.ndarray]:
    """Arrays or tensors as a caller gives them, by their names.

    They are examples alone, a pair of examples and labels, two such pairs to train and to test, or a mapping.

    Raises:
        UserError: they are none of these.
    """
    if not isinstance(given, Mapping):
        parts = given if isinstance(given, tuple) else (given,)
        if len(parts) == 2 and all(isinstance(part, tuple) and len(part) == 2 for part in parts):
            given = dict(zip(("x_train", "y_train", "x_test", "y_test"), (*parts[0], *parts[1]), strict=True))
        elif len(parts) > 2 or any(isinstance(part, tuple) for part in parts):
            raise UserError("data", f"a tuple of {len(parts)}", "a pair (x, y), or ((x, y), (x_test, y_test))")
        else:
            given = dict(zip(("x_train", "y_train"), parts, strict=False))
    return {str(key): _as_array(str(key), array) for key, array in given.items()}


def _as_array(key: str, array: Any) -> np.ndarray:
    if isinstance(array, Tensor):
        array = array.detach().cpu()
        array = array.float() if array.dtype == torch.bfloat16 else array
    try:
        return np.asarray(array)
    except ValueError as error:  # rows of several lengths
        raise UserError("data", key, "an array or a tensor", why=" ".join(str(error).split())) from None


def find_names(present: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Which name stands for which of NAMES, and notes on it; a single array is ``x_train``.

    Where there is an ``x_train``, all have the names themselves: what else is there is something else.
    """
    lower = {name.lower(): name for name in reversed(present)}
    found = {key: key for key in NAMES if key in present}
    for key, others in NAMES.items() if "x_train" not in found else ():
        name = next((lower[other] for other in (key, *others) if other in lower), None)
        if key not in found and name is not None and name not in found.values():
            found[key] = name
    if len(present) == 1 and not found:
        found = {"x_train": present[0]}
    renamed = [f"{name} was read as {key}" for key, name in found.items() if name != key]
    unread = [name for name in present if name not in found.values()]
    return found, (*renamed, *([f"{', '.join(unread)} not read"] if unread else []))


def read_arrays(
    name: str,
    arrays: Mapping[str, np.ndarray],
    reading: Reading,
    directory: Path | None = None,
    notes: tuple[str, ...] = (),
) -> UnsplitData:
    """The examples, labels and vectors of arrays by the keys of NAMES.

    Args:
        directory: see nas.data.mapped.allocate.
        notes: what is known already of how they were read.

    Raises:
        UserError: x_train is missing, an array is of the wrong kind (the error names it), or two do not fit together.
    """
    if "x_train" not in arrays:
        raise UserError("--dataset", name, f"x_train, {_EXAMPLES}", why="has no x_train")
    keys = [key for key in ("x_train", "x_test") if key in arrays]
    examples, said = read_examples(name, {key: arrays[key] for key in keys}, reading, directory)
    parts = {key[2:]: tensor for key, tensor in zip(keys, examples, strict=True)}
    vectors = {
        part: _read_conditions(name, f"c_{part}", arrays.get(f"c_{part}"), len(tensor))
        for part, tensor in parts.items()
    }
    if len({_count_columns(of_part) for of_part in vectors.values()}) > 1:
        raise UserError("--dataset", name, "c_train and c_test of one length, or neither", why="they differ in it")
    factors = {part: _read_factors(name, f"f_{part}", arrays.get(f"f_{part}"), len(x)) for part, x in parts.items()}
    if len({_count_columns(of_part) for of_part in factors.values()}) > 1:
        raise UserError("--dataset", name, "f_train and f_test of one length, or neither", why="they differ in it")
    labels: dict[str, np.ndarray] = {}
    for part, tensor in parts.items():
        if (key := f"y_{part}") not in arrays:
            continue
        try:
            labels[part], how = read_labels(arrays[key], len(tensor))
        except ValueError as error:
            allowed = f"{len(tensor)} whole numbers, words or one-hot rows in {key}"
            raise UserError("--dataset", name, allowed, why=f"{key} {error}") from None
        said += [f"{key} {how}"] if how else []
    classes, numbers = number_labels(list(labels.values())) if labels else ((), [])
    numbered = {part: torch.from_numpy(number) for part, number in zip(labels, numbers, strict=True)}
    splits = {part: Split(tensor, numbered.get(part), vectors[part], factors[part]) for part, tensor in parts.items()}
    return UnsplitData(splits["train"], splits.get("test"), classes, (*notes, *said))


def read_examples(
    name: str, arrays: Mapping[str, np.ndarray], reading: Reading, directory: Path | None = None
) -> tuple[list[Tensor], list[str]]:
    """Images (N, C, H, W), uint8 or float32 in [0, 1], or vectors (N, D), float32, and words on how they were read.

    If they are asked for, also sequences (N, C, T), float32, of arrays (N, T) or (N, C, T), NaN where one is missing.

    Args:
        directory: see nas.data.mapped.allocate.

    Raises:
        UserError: the arrays are not of this kind, or differ in shape or type; `name` is that of the data set.
    """
    kind = reading.kind

    def refuse(key: str, why: str) -> UserError:
        allowed = _EXAMPLES if kind == "auto" else f"for --kind {kind} {_ALLOWED[kind]}"
        return UserError("--dataset", name, f"{key} {allowed}", why=f"{key} {why}")

    if reading.row_shape is not None:
        arrays = {key: shape_rows(array, reading) for key, array in arrays.items()}
    first, array = next(iter(arrays.items()))
    layout = find_layout(array.shape[1:]) if array.ndim == 4 else (False, "")
    for key, each in arrays.items():
        if each.ndim not in _DIMENSIONS[kind] or (each.ndim == 4 and layout is None):
            raise refuse(key, f"has the shape {each.shape}")
        if each.size == 0:
            raise refuse(key, "is empty")
        if each.shape[1:] != array.shape[1:] or (each.dtype.kind == "f") != (array.dtype.kind == "f"):
            what = f"{kind}s" if kind != "auto" else "vectors" if array.ndim == 2 else "images"
            raise UserError("--dataset", name, f"{what} of one shape and type", why=f"{first} and {key} differ in it")
    if kind == "sequence":
        arrays = {key: each[:, None] if each.ndim == 2 else each for key, each in arrays.items()}
    if kind == "sequence" or array.ndim == 2:
        read = functools.partial(_read_numbers, missing=kind == "sequence", directory=directory)
        return [read(each, functools.partial(refuse, key)) for key, each in arrays.items()], []
    try:
        rule = find_value_rule(list(arrays.values()))
    except ValueError as error:
        raise refuse(first, str(error)) from None
    assert layout is not None
    channels_first, how = layout
    notes = [f"{first} {said}" for said in (how, rule.note) if said]
    moved = (move_channels_first(each, channels_first) for each in arrays.values())
    return [_make_tensor(each, rule.apply, keeps=rule.keeps, directory=directory) for each in moved], notes


def _read_numbers(
    array: np.ndarray, refuse: Callable[[str], UserError], *, missing: bool, directory: Path | None
) -> Tensor:
    """Float32 numbers, finite, or NaN where they may be `missing`."""
    if array.dtype.kind not in "iuf":
        raise refuse(f"is {array.dtype}")

    def convert(part: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore"):
            numbers = part.astype(np.float32, copy=False)
        if missing and np.isinf(numbers).any():
            raise refuse("holds infinite numbers")
        if not missing and not np.isfinite(numbers).all():
            raise refuse("holds numbers that are not finite")
        return numbers

    keeps = array.dtype == np.float32
    for rows in slice_rows(array.shape) if keeps else ():
        convert(array[rows])
    return _make_tensor(array, convert, keeps=keeps, directory=directory)


def _make_tensor(
    array: np.ndarray, convert: Callable[[np.ndarray], np.ndarray], *, keeps: bool, directory: Path | None
) -> Tensor:
    """What `convert` makes of an array's rows, piece by piece: the array itself if it `keeps` what is there.

    Of what NumPy has mapped from a file it is mapped in turn, if it is large and stays as it is, else a copy.
    """
    if keeps and array.flags.c_contiguous and array.dtype.isnative:
        mapping = None if directory is None else map_array(array, directory)
        if mapping is None:
            return torch.from_numpy(array)
        if array.nbytes > memory_limit():
            return mapping.open()
    kind = torch.from_numpy(np.empty(0, convert(array[:1]).dtype)).dtype
    result = allocate(array.shape, kind, directory)
    for rows in slice_rows(array.shape):
        result.numpy()[rows] = convert(array[rows])
    return result


def _read_conditions(name: str, key: str, array: np.ndarray | None, number: int) -> Tensor | None:
    """The vectors that a model is told, (N, size) float32, of an array by its key."""
    if array is None:
        return None
    if array.dtype.kind != "f" or array.ndim != 2 or len(array) != number or not array.shape[1]:
        why = f"{key} is {array.dtype} of shape {array.shape}"
        raise UserError("--dataset", name, f"vectors of floats in {key}, one for each of {number} examples", why=why)
    if not np.isfinite(array).all():
        raise UserError("--dataset", name, f"finite numbers in {key}", why=f"{key} holds others")
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _read_factors(name: str, key: str, array: np.ndarray | None, number: int) -> Tensor | None:
    """The factors of examples, (N, K) float64, of an array (N,) or (N, K) of numbers by its key."""
    if array is None:
        return None
    if array.dtype.kind not in "iufb" or array.ndim not in (1, 2) or len(array) != number or not array[:1].size:
        why = f"{key} is {array.dtype} of shape {array.shape}"
        raise UserError("--dataset", name, f"numbers (N, K) in {key}, a row for each of {number} examples", why=why)
    if not np.isfinite(array).all():
        raise UserError("--dataset", name, f"finite numbers in {key}", why=f"{key} holds others")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float64)).reshape(number, -1)


def _count_columns(vectors: Tensor | None) -> int:
    return 0 if vectors is None else int(vectors.shape[1])
