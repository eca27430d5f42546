"""Examples that are too many for the memory: tensors whose numbers lie in files, of which what is used is read."""

from __future__ import annotations

import atexit
import contextlib
import math
import os
import re
import secrets
import shutil
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from filelock import FileLock, Timeout
from torch import Tensor

from nas.core.errors import UserError
from nas.core.process import count_free_memory
from nas.data.pieces import slice_rows

LIMIT = "NAS_MEMORY_LIMIT"
"""The environment variable that says how many bytes of examples are kept in memory."""

_SHARE = 4  # of the free memory: a set is there twice while it is split, and what trains on it needs some as well
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True)
class Mapping:
    """A part of a file that is a tensor.

    Attributes:
        path: the file.
        dtype: NumPy's name of the type.
        shape: of the tensor.
        offset: where in the file it begins, in bytes.
        directory: where files may be made of what becomes of it; see `allocate`.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int
    directory: Path

    def open(self, mode: Literal["c", "r+"] = "c", *, last: bool = False) -> Tensor:
        """Map it into memory.

        Args:
            mode: with ``c`` what is written to the tensor stays out of the file.
            last: whether the file is removed when nobody uses the tensor any more.

        Raises:
            OSError, ValueError: the file is missing, or shorter.
        """
        array = np.memmap(self.path, self.dtype, mode, self.offset, self.shape)
        tensor = torch.from_numpy(array)
        place = tensor.untyped_storage().data_ptr()
        _MAPPINGS[place] = self
        weakref.finalize(array, self._close, place, os.getpid() if last else None)
        return tensor

    def _close(self, place: int, owner: int | None) -> None:
        _MAPPINGS.pop(place, None)
        if os.getpid() == owner:  # and not a process that was forked
            self.path.unlink(missing_ok=True)


_MAPPINGS: dict[int, Mapping] = {}  # of the tensors that there are, by the addresses of their storages


def map_array(array: np.ndarray, directory: Path) -> Mapping | None:
    """The part of a file that a C-contiguous array lies in, of whose values the file has all; None if it is none.

    Args:
        directory: see `Mapping`.
    """
    root = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not isinstance(root, np.memmap) or root.filename is None or root.mode == "c" or not array.dtype.isnative:
        return None
    offset = root.offset + array.ctypes.data - root.ctypes.data
    return Mapping(Path(root.filename), array.dtype.name, array.shape, offset, directory)


def find_mapping(tensor: Tensor) -> Mapping | None:
    """The part of a file that a tensor, or one that it is a view of, lies in; None if it is in memory."""
    return _MAPPINGS.get(tensor.untyped_storage().data_ptr())


@dataclass(frozen=True)
class Reference:
    """What is sent to another process instead of a mapped tensor."""

    mapping: Mapping
    dtype: torch.dtype
    size: tuple[int, ...]
    stride: tuple[int, ...]
    offset: int

    @classmethod
    def of(cls, tensor: Tensor) -> Reference | None:
        """That of a tensor, or None if it is in memory."""
        mapping = find_mapping(tensor)
        if mapping is None:
            return None
        return cls(mapping, tensor.dtype, tuple(tensor.shape), tensor.stride(), int(tensor.storage_offset()))

    def open(self) -> Tensor:
        """The tensor.

        Raises:
            OSError: this machine has not the file.
        """
        try:
            whole = self.mapping.open()
        except FileNotFoundError:
            path = self.mapping.path
            why = f"{path} is not on this machine: --data-dir may name a disk that all share, or {LIMIT} a larger size"
            raise FileNotFoundError(f"the examples do not fit into memory, and {why}") from None
        return whole.view(self.dtype).as_strided(self.size, self.stride, self.offset)


def memory_limit() -> int:
    """The most bytes that one tensor of examples takes in memory: LIMIT, else a quarter of what is free.

    Raises:
        UserError: LIMIT is no size.
    """
    text = os.environ.get(LIMIT, "")
    if not text:
        return count_free_memory() // _SHARE
    found = re.fullmatch(r"(\d{1,15})([KMGT]?)B?", text.strip().upper())
    if found is None:
        raise UserError(LIMIT, text, "a number of bytes, such as 500M or 2G")
    return int(found[1]) * _UNITS[found[2]]


@contextlib.contextmanager
def refuse_disk(directory: Path) -> Iterator[None]:
    """Turn what the system raises where a file of examples cannot be written into a UserError that names the folder."""
    try:
        yield
    except OSError as error:
        why = f"examples do not fit into memory, nor can they be written there ({error.strerror or error})"
        raise UserError("--data-dir", str(directory), "a folder on a disk with room", why=why) from None


def allocate(shape: Sequence[int], dtype: torch.dtype, directory: Path | None) -> Tensor:
    """A tensor to be filled: in memory, or if it is large in a file that is gone when nobody uses it any more.

    Args:
        directory: where downloads are kept, below which the file lies; None for a tensor that stays in memory.

    Raises:
        UserError: there is no room on the disk.
    """
    if directory is None or math.prod(shape) * dtype.itemsize <= memory_limit():
        return torch.empty(tuple(shape), dtype=dtype)
    return make_file(_Scratch.of(directory).folder / secrets.token_hex(8), shape, dtype, directory, last=True)


def allocate_like(source: Tensor, shape: Sequence[int], dtype: torch.dtype | None = None) -> Tensor:
    """A tensor to be filled with what becomes of `source`: in memory if that is, else see `allocate`."""
    mapping = find_mapping(source)
    return allocate(shape, dtype or source.dtype, None if mapping is None else mapping.directory)


def make_file(path: Path, shape: Sequence[int], dtype: torch.dtype, directory: Path, *, last: bool = False) -> Tensor:
    """A tensor to be filled whose numbers lie in a new file; see `Mapping.open`.

    Raises:
        UserError: there is no room on the disk.
    """
    size = math.prod(shape) * dtype.itemsize
    with refuse_disk(directory), path.open("xb") as file:
        try:
            if hasattr(os, "posix_fallocate"):  # a page that finds no room later kills the process
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        except OSError:
            path.unlink()
            raise
    name = np.dtype(str(dtype).removeprefix("torch.")).name
    return Mapping(path.absolute(), name, tuple(shape), 0, directory).open("r+", last=last)


def take_rows(tensor: Tensor, places: Tensor) -> Tensor:
    """The rows at `places`, (M,) int64, in their order; of what is mapped in a file again where they are large."""
    result = allocate_like(tensor, (len(places), *tensor.shape[1:]))
    if find_mapping(result) is None:
        return tensor[places]
    for rows in slice_rows(result.shape):
        result[rows] = tensor[places[rows]]
    return result


class _Scratch:
    """A folder of this process for files without a future. What processes that were killed left is cleared away."""

    _made: dict[tuple[Path, int], _Scratch] = {}  # noqa: RUF012 - by the directory and the process

    def __init__(self, directory: Path) -> None:
        above = directory / "scratch"
        with refuse_disk(directory):
            above.mkdir(parents=True, exist_ok=True)
            with FileLock(above / "lock"):
                for lock in above.glob("*.lock"):
                    self._clear(lock)
                self.folder = above / secrets.token_hex(8)
                self._lock = FileLock(f"{self.folder}.lock")
                self._lock.acquire()
                self.folder.mkdir()
        atexit.register(self._end, os.getpid())

    @classmethod
    def of(cls, directory: Path) -> _Scratch:
        """That of this process in a directory."""
        key = directory.absolute(), os.getpid()
        if key not in cls._made:
            cls._made[key] = cls(directory.absolute())
        return cls._made[key]

    def _end(self, process: int) -> None:
        if os.getpid() == process:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._lock.release()
            Path(self._lock.lock_file).unlink(missing_ok=True)

    @staticmethod
    def _clear(lock: Path) -> None:
        """Remove the folder of a process that has ended."""
        try:
            with FileLock(lock, timeout=0):
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
        except Timeout:
            return
