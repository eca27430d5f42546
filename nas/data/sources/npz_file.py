"""Images in a NumPy archive."""

from __future__ import annotations

import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from nas.core.errors import UserError
from nas.data.dataset import Split
from nas.data.sources import Source

_IMAGES = "(N, H, W) or (N, H, W, C) with C 1 or 3, uint8 or floats in [0, 1]"


def load(name: str, path: Path) -> Source:
    """x_train and, where they are there, y_train, c_train, x_test, y_test and c_test; nothing is unpickled.

    Raises:
        UserError: not an archive, x_train missing, or an array of the wrong kind, naming it.
    """
    allowed = "an .npz archive of plain arrays"
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError("--dataset", name, allowed, why="holds a single array")
        with archive:
            arrays = {key: archive[key] for key in _KEYS if key in archive}
    except _BROKEN as error:
        text = " ".join(str(error).split())[:120] or type(error).__name__
        why = "cannot be read without unpickling" if "pickle" in text else text
        raise UserError("--dataset", name, allowed, why=why) from None
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of what is not in its format
            raise UserError("--dataset", name, allowed, why=f"{key} is no array")
    return from_arrays(name, arrays)


# what zipfile, zlib, lzma and NumPy say to damaged archives
_BROKEN = (
    OSError, ValueError, EOFError, SyntaxError, NotImplementedError, RuntimeError, OverflowError, MemoryError,
    tokenize.TokenError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
)  # fmt: skip
_KEYS = ("x_train", "y_train", "c_train", "x_test", "y_test", "c_test")


def from_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> Source:
    """A source of arrays by the archive's keys; see `load`."""
    arrays = {key: np.asarray(array) for key, array in arrays.items()}
    if "x_train" not in arrays:
        raise UserError("--dataset", name, f"x_train, {_IMAGES}", why="has no x_train")
    pool = _split(name, arrays, "train")
    test = _split(name, arrays, "test") if "x_test" in arrays else None
    if test is not None and (
        test.examples.shape[1:] != pool.examples.shape[1:] or test.examples.dtype != pool.examples.dtype
    ):
        raise UserError("--dataset", name, "images of one shape and type", why="x_train and x_test differ in it")
    if test is not None and _length(test.vectors) != _length(pool.vectors):
        raise UserError("--dataset", name, "c_train and c_test of one length, or neither", why="they differ in it")
    labels = [part.labels for part in (pool, test) if part is not None and part.labels is not None]
    if not labels:
        return Source(pool, test)
    known = torch.unique(torch.cat(labels))  # sorted
    classes = tuple(str(label) for label in known.tolist())
    return Source(_numbered(pool, known), None if test is None else _numbered(test, known), classes=classes)


def _numbered(part: Split, known: torch.Tensor) -> Split:
    return part if part.labels is None else replace(part, labels=torch.searchsorted(known, part.labels))


def _length(vectors: torch.Tensor | None) -> int:
    return 0 if vectors is None else int(vectors.shape[1])


def _split(name: str, arrays: Mapping[str, np.ndarray], part: str) -> Split:
    key = f"x_{part}"
    images = _images(name, key, arrays[key])
    vectors = _vectors(name, f"c_{part}", arrays.get(f"c_{part}"), len(images))
    labels = arrays.get(f"y_{part}")
    if labels is None:
        return Split(images, vectors=vectors)
    if labels.dtype.kind not in "iub" or labels.size != len(images):
        why = f"y_{part} is {labels.dtype} of shape {labels.shape}"
        raise UserError("--dataset", name, f"{len(images)} whole numbers in y_{part}", why=why)
    return Split(images, torch.from_numpy(labels.reshape(-1).astype(np.int64)), vectors)


def _vectors(name: str, key: str, array: np.ndarray | None, number: int) -> torch.Tensor | None:
    if array is None:
        return None
    if array.dtype.kind != "f" or array.ndim != 2 or len(array) != number or not array.shape[1]:
        why = f"{key} is {array.dtype} of shape {array.shape}"
        raise UserError("--dataset", name, f"vectors of floats in {key}, one for each of {number} images", why=why)
    if not np.isfinite(array).all():
        raise UserError("--dataset", name, f"finite numbers in {key}", why=f"{key} holds others")
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))


def _images(name: str, key: str, array: np.ndarray) -> torch.Tensor:
    def refused(why: str) -> UserError:
        return UserError("--dataset", name, f"{key} {_IMAGES}", why=f"{key} {why}")

    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[3] not in (1, 3)):
        raise refused(f"has the shape {array.shape}")
    if array.dtype != np.uint8 and array.dtype.kind != "f":
        raise refused(f"is {array.dtype}")
    if array.size == 0:
        raise refused("is empty")
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= 0 and high <= 1):  # also refuses NaN
            raise refused(f"holds values from {low:g} to {high:g}")
        array = array.astype(np.float32)
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    return tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()
