"""scikit-learn's handwritten digits."""

from __future__ import annotations

import numpy as np

from nas.data.source import Source, UnsplitData


def load_digits() -> UnsplitData:
    """The 1,797 images of 8 x 8, whose 17 shades become uint8."""
    from sklearn import datasets

    from nas.data.dataset import Split

    digits = datasets.load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    return UnsplitData(Split.from_arrays(pixels, digits.target), classes=tuple(str(n) for n in digits.target_names))


SOURCE = Source(
    "digits",
    "1,797 handwritten digits, 8x8 grey, 10 classes, shipped with scikit-learn: needs no download",
    lambda request: load_digits(),
)
