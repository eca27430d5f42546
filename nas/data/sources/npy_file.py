"""Examples in a file with a single NumPy array."""

from __future__ import annotations

import numpy as np

from nas.core.errors import UserError
from nas.data.source import Request, Source, UnsplitData

_ALLOWED = "an .npy file with one plain array"


def load_npy(request: Request) -> UnsplitData:
    """The examples of an array; nothing is unpickled.

    Raises:
        UserError: the file does not hold a single array, or one that is no examples.
    """
    from nas.data.arrays import read_examples, refuse_damage
    from nas.data.dataset import Split
    from nas.data.mapped import memory_limit

    path = request.find_path()
    with refuse_damage(request.name, _ALLOWED):
        large = path.stat().st_size > memory_limit()
        array = np.load(path, mmap_mode="r" if large else None, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        array.close()
        raise UserError("--dataset", request.name, _ALLOWED, why="holds an archive; npz:PATH reads it")
    (examples,), notes = read_examples(request.name, {"the array": array}, request.reading, request.directory)
    return UnsplitData(Split(examples), notes=tuple(notes))


SOURCE = Source(
    "npy",
    "a NumPy array, of images, vectors or sequences, without labels",
    load_npy,
    argument="PATH",
    details="Images are (N, H, W), (N, H, W, C) or (N, C, H, W) with C from 1 to 4, in [0, 255], [0, 1], [-1, 1] or "
    "deeper whole numbers. Vectors are (N, D): finite numbers, taken as they are, or made images by --image-shape. "
    "With --kind sequence the array is sequences (N, T) or (N, C, T) of numbers, NaN where one is missing. Nothing in "
    "the file is unpickled.",
    takes=("image_shape", "kind"),
)
