"""Examples in an archive of NumPy arrays."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from nas.core.errors import UserError
from nas.data.source import Request, Source, UnsplitData

_ALLOWED = "an .npz archive of plain arrays"
_BYTES_AT_ONCE = 2**24


def load_npz(request: Request) -> UnsplitData:
    """The arrays of nas.data.arrays.NAMES that are there; nothing is unpickled.

    Raises:
        UserError: the file is not an archive, there are no examples, or an array is of the wrong kind; names the array.
    """
    from nas.data.arrays import find_names, read_arrays, refuse_damage

    path = request.find_path()
    with refuse_damage(request.name, _ALLOWED):
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError("--dataset", request.name, _ALLOWED, why="holds a single array; npy:PATH reads it")
        with archive:
            names, notes = find_names(archive.files)
            arrays = {key: _read_member(path, archive, name, request.directory) for key, name in names.items()}
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of what is not in its format
            raise UserError("--dataset", request.name, _ALLOWED, why=f"{names[key]} is no array")
    return read_arrays(request.name, arrays, request.reading, request.directory, notes)


SOURCE = Source(
    "npz",
    "a NumPy archive with x_train and, if you have them, y_train, x_test, y_test",
    load_npz,
    argument="PATH",
    details="x_train and x_test are images (N, H, W), (N, H, W, C) or (N, C, H, W) with C from 1 to 4, in [0, 255], "
    "[0, 1], [-1, 1] or deeper whole numbers; or vectors (N, D) of finite numbers, of which --image-shape makes "
    "images; or with --kind sequence sequences (N, T) or (N, C, T), NaN where a number is missing. y_train and y_test "
    "are N whole numbers, words or one-hot rows. A single array is x_train; X, images, data, arr_0 and y, labels, "
    "targets, arr_1 are other names. "
    "f_train and f_test are factors (N, K) that examples were made of: nas evaluate says how far codes disentangle "
    "them. Nothing in the file is unpickled.",
    takes=("image_shape", "kind"),
)


def _read_member(path: Path, archive: np.lib.npyio.NpzFile, name: str, directory: Path) -> np.ndarray:
    """An array of the archive: a large one is mapped if it is not compressed, else unpacked into a file.

    Raises:
        OSError, ValueError: it is damaged, or would have to be unpickled.
    """
    import torch

    from nas.data.mapped import allocate, memory_limit

    assert archive.zip is not None
    member = next((one for one in archive.zip.infolist() if one.filename == f"{name}.npy"), None)
    if member is None or member.file_size <= memory_limit():
        return archive[name]
    stored = member.compress_type == zipfile.ZIP_STORED
    with path.open("rb") if stored else archive.zip.open(member) as file:
        begin = _skip_header(file, member.header_offset) if stored else 0
        shape, columns_first, dtype = _read_header(file)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if dtype.hasobject or file.tell() - begin + size != member.file_size:
            return archive[name]  # which says what is wrong
        if stored:
            return np.memmap(path, dtype, "r", file.tell(), shape, order="F" if columns_first else "C")
        content = allocate((size,), torch.uint8, directory).numpy()
        for start in range(0, size, _BYTES_AT_ONCE):
            part = file.read(min(_BYTES_AT_ONCE, size - start))
            content[start : start + _BYTES_AT_ONCE] = np.frombuffer(part, np.uint8)
        return content.view(dtype).reshape(shape, order="F" if columns_first else "C")


def _skip_header(file: IO[bytes], start: int) -> int:
    """Read on to where a member that is not compressed begins, and say where that is."""
    file.seek(start + 26)
    name, extra = struct.unpack("<HH", file.read(4))
    return file.seek(name + extra, 1)


def _read_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether the first index runs fastest, and type of an array in NumPy's format."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)
