"""scikit-learn's handwritten digits."""

from __future__ import annotations

import numpy as np
import torch

from nas.data.dataset import Split
from nas.data.sources import Source


def load() -> Source:
    """1,797 images of 8 x 8, whose 17 shades become uint8."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = torch.from_numpy(digits.target.astype(np.int64))
    return Source(Split(torch.from_numpy(pixels), labels), classes=tuple(str(n) for n in digits.target_names))
