"""scikit-learn's handwritten digits."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from nas.data.source import Source, UnsplitData


def load_digits() -> UnsplitData:
    """The 1,797 images of 8 x 8, whose 17 shades become uint8.

    The file is read where scikit-learn keeps it, because importing its data sets takes longer than a short training.
    """
    from nas.data.dataset import Split

    package = importlib.util.find_spec("sklearn")
    assert package is not None
    assert package.origin is not None
    rows = np.loadtxt(Path(package.origin).with_name("datasets") / "data" / "digits.csv.gz", delimiter=",")
    pixels = np.rint(rows[:, :-1].reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
    return UnsplitData(Split.from_arrays(pixels, rows[:, -1].astype(int)), classes=tuple("0123456789"))


SOURCE = Source(
    "digits",
    "1,797 handwritten digits, 8x8 grey, 10 classes, shipped with scikit-learn: needs no download",
    lambda request: load_digits(),
)
