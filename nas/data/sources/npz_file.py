"""Examples in an archive of NumPy arrays."""

from __future__ import annotations

import numpy as np

from nas.core.errors import UserError
from nas.data.source import Request, Source, UnsplitData

_ALLOWED = "an .npz archive of plain arrays"


def load_npz(request: Request) -> UnsplitData:
    """The arrays of nas.data.arrays.NAMES that are there; nothing is unpickled.

    Raises:
        UserError: the file is not an archive, there are no examples, or an array is of the wrong kind; names the array.
    """
    from nas.data.arrays import find_names, read_arrays, refuse_damage

    with refuse_damage(request.name, _ALLOWED):
        archive = np.load(request.find_path(), allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise UserError("--dataset", request.name, _ALLOWED, why="holds a single array; npy:PATH reads it")
        with archive:
            names, notes = find_names(archive.files)
            arrays = {key: archive[name] for key, name in names.items()}
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):  # NumPy gives the bytes of what is not in its format
            raise UserError("--dataset", request.name, _ALLOWED, why=f"{names[key]} is no array")
    return read_arrays(request.name, arrays, request.reading, notes)


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
