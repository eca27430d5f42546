"""NumPy's arrays, checked and made into examples."""

from __future__ import annotations

import contextlib
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nas.core.errors import UserError
from nas.data.dataset import Split
from nas.data.source import AskedKind, UnsplitData

KEYS = ("x_train", "y_train", "c_train", "x_test", "y_test", "c_test")
"""The names of arrays: examples, labels, and vectors that a model is told of the examples."""

_DIMENSIONS = {"auto": (2, 3, 4), "image": (3, 4), "vector": (2,), "sequence": (2, 3)}
_ALLOWED = {
    "image": "(N, H, W) or (N, H, W, C) with C 1 or 3, uint8 or floats in [0, 1]",
    "vector": "(N, D) of finite numbers",
    "sequence": "(N, T) or (N, C, T) of numbers, with NaN for what is missing",
}
_EXAMPLES = f"{_ALLOWED['image']}, or vectors {_ALLOWED['vector']}"
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


def read_arrays(name: str, arrays: Mapping[str, np.ndarray], kind: AskedKind = "auto") -> UnsplitData:
    """The examples, labels and vectors of arrays by their KEYS; see `read_examples`.

    Raises:
        UserError: x_train is missing, an array is of the wrong kind (the error names it), or two do not fit together.
    """
    arrays = {key: np.asarray(array) for key, array in arrays.items()}
    if "x_train" not in arrays:
        raise UserError("--dataset", name, f"x_train, {_EXAMPLES}", why="has no x_train")
    pool = _read_part(name, arrays, "train", kind)
    test = _read_part(name, arrays, "test", kind) if "x_test" in arrays else None
    if test is not None and (
        test.examples.shape[1:] != pool.examples.shape[1:] or test.examples.dtype != pool.examples.dtype
    ):
        raise UserError("--dataset", name, f"{pool.kind}s of one shape and type", why="x_train and x_test differ in it")
    if test is not None and _count_columns(test.vectors) != _count_columns(pool.vectors):
        raise UserError("--dataset", name, "c_train and c_test of one length, or neither", why="they differ in it")
    labels = [part.labels for part in (pool, test) if part is not None and part.labels is not None]
    if not labels:
        return UnsplitData(pool, test)
    known = torch.unique(torch.cat(labels))  # sorted
    classes = tuple(str(label) for label in known.tolist())
    return UnsplitData(
        _number_labels(pool, known), None if test is None else _number_labels(test, known), classes=classes
    )


def read_examples(name: str, key: str, array: np.ndarray, kind: AskedKind = "auto") -> Tensor:
    """Images (N, C, H, W), uint8 or float32 in [0, 1], of an array (N, H, W[, C]), or vectors (N, D), float32.

    If they are asked for, also sequences (N, C, T), float32, of an array (N, T) or (N, C, T), with NaN for what is
    missing.

    Raises:
        UserError: the array is of no `kind`; `name` is that of the data set and `key` that of the array.
    """

    def refuse(why: str) -> UserError:
        allowed = _EXAMPLES if kind == "auto" else f"for --kind {kind} {_ALLOWED[kind]}"
        return UserError("--dataset", name, f"{key} {allowed}", why=f"{key} {why}")

    if array.ndim not in _DIMENSIONS[kind] or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise refuse(f"has the shape {array.shape}")
    if kind == "sequence":
        return _read_sequences(array, refuse)
    if array.dtype.kind not in ("iuf" if array.ndim == 2 else "f") and array.dtype != np.uint8:
        raise refuse(f"is {array.dtype}")
    if array.size == 0:
        raise refuse("is empty")
    if array.ndim == 2:
        with np.errstate(over="ignore"):
            numbers = array.astype(np.float32)
        if not np.isfinite(numbers).all():
            raise refuse("holds numbers that are not finite")
        return torch.from_numpy(np.ascontiguousarray(numbers))
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):  # also refuses NaN
            raise refuse(f"holds values from {low:g} to {high:g}")
        array = array.astype(np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()


def _read_sequences(array: np.ndarray, refuse: Callable[[str], UserError]) -> Tensor:
    if array.dtype.kind not in "iuf":
        raise refuse(f"is {array.dtype}")
    if array.size == 0:
        raise refuse("is empty")
    with np.errstate(over="ignore"):
        numbers = array.astype(np.float32)
    if np.isinf(numbers).any():
        raise refuse("holds infinite numbers")
    sequences = torch.from_numpy(np.ascontiguousarray(numbers))
    return sequences[:, None] if sequences.ndim == 2 else sequences


def _read_part(name: str, arrays: Mapping[str, np.ndarray], part: str, kind: AskedKind) -> Split:
    key = f"x_{part}"
    examples = read_examples(name, key, arrays[key], kind)
    vectors = _read_conditions(name, f"c_{part}", arrays.get(f"c_{part}"), len(examples))
    labels = arrays.get(f"y_{part}")
    if labels is None:
        return Split(examples, vectors=vectors)
    if labels.dtype.kind not in "iub" or labels.size != len(examples):
        why = f"y_{part} is {labels.dtype} of shape {labels.shape}"
        raise UserError("--dataset", name, f"{len(examples)} whole numbers in y_{part}", why=why)
    return Split(examples, torch.from_numpy(labels.reshape(-1).astype(np.int64)), vectors)


def _read_conditions(name: str, key: str, array: np.ndarray | None, number: int) -> Tensor | None:
    """The vectors that a model is told, (N, size) float32, of an array by its key."""
    if array is None:
        return None
    if array.dtype.kind != "f" or array.ndim != 2 or len(array) != number or not array.shape[1]:
        why = f"{key} is {array.dtype} of shape {array.shape}"
        raise UserError("--dataset", name, f"vectors of floats in {key}, one for each of {number} examples", why=why)
    if not np.isfinite(array).all():
        raise UserError("--dataset", name, f"finite numbers in {key}", why=f"{key} holds others")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _number_labels(part: Split, known: Tensor) -> Split:
    return part if part.labels is None else replace(part, labels=torch.searchsorted(known, part.labels))


def _count_columns(vectors: Tensor | None) -> int:
    return 0 if vectors is None else int(vectors.shape[1])
