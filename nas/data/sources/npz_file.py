"""Examples in an archive of NumPy arrays."""

from __future__ import annotations

import numpy as np

from nas.core.errors import UserError
from nas.data.source import Request, Source, UnsplitData

_ALLOWED = "an .npz archive of plain arrays"


def load_npz(request: Request) -> UnsplitData:
    """x_train and, where they are there, y_train, c_train, x_test, y_test and c_test; nothing is unpickled.

    Raises:
        UserError: the file is not an archive, x_train is missing, or an array is of the wrong kind; names the array.
    """
    from nas.data.arrays import KEYS, read_arrays, refuse_damage

    with refuse_damage(request.name, _ALLOWED):
        archive = np.load(request.find_path(), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError("--dataset", request.name, _ALLOWED, why="holds a single array; npy:PATH reads it")
        with archive:
            arrays = {key: archive[key] for key in KEYS if key in archive}
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of what is not in its format
            raise UserError("--dataset", request.name, _ALLOWED, why=f"{key} is no array")
    return read_arrays(request.name, arrays, request.kind)


SOURCE = Source(
    "npz",
    "a NumPy archive with x_train and, if you have them, y_train, x_test, y_test",
    load_npz,
    argument="PATH",
    details="x_train and x_test are images (N, H, W) or (N, H, W, C) with C 1 or 3: uint8, or floats in [0, 1]; or "
    "vectors (N, D) of finite numbers; or with --kind sequence sequences (N, T) or (N, C, T), NaN where a number is "
    "missing. y_train and y_test are N whole numbers. Nothing in the file is unpickled.",
    takes=("kind",),
)
