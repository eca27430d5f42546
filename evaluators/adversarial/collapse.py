"""When a generator has collapsed: it makes too few different images, however good each of them is."""

from __future__ import annotations

import math
from collections.abc import Mapping

LEAST_DEVIATION = 0.25
"""Of the data's deviation of a pixel from image to image, what a generator's images must have."""
LEAST_MODES = 0.5
"""Of the classes, how many a classifier must find among the generator's images: sure of them (``modes``), or else, as
images may be blurred that are not alike, in effect (the exponential of ``label_entropy``)."""
LEAST_COVERAGE = 0.02
"""Of the real images without labels, how many must have a generated one among their neighbours. A hundred images
repeated cover 0.13 of MNIST and noise 0.002."""


def find_deviation_collapse(scores: Mapping[str, float], reference_deviation: float) -> str | None:
    """Why the images are all alike; None where they are not.

    Args:
        scores: with ``sample_deviation``, the standard deviation of a pixel over the images, the mean of all pixels.
        reference_deviation: that of the data.
    """
    found, least = scores["sample_deviation"], LEAST_DEVIATION * reference_deviation
    if found >= least:
        return None
    return f"sample_deviation {found:.3g} is under {least:.3g}, {LEAST_DEVIATION:.0%} of the data's"


def find_collapse(scores: Mapping[str, float], reference_deviation: float, classes: int) -> str | None:
    """Why a generator counts as collapsed, in words; None where it does not.

    Args:
        scores: those of its samples; where ``modes`` and ``label_entropy`` are not among them, ``coverage`` counts.
        reference_deviation: see `find_deviation_collapse`.
        classes: how many classes the data has; 0 where it has no labels.
    """
    if (reason := find_deviation_collapse(scores, reference_deviation)) is not None:
        return reason
    if classes and "modes" in scores:
        modes, effective, least = scores["modes"], math.exp(scores["label_entropy"]), LEAST_MODES * classes
        if max(modes, effective) < least:
            return (
                f"modes {modes:g} is under {LEAST_MODES:.0%} of the {classes} classes, and label_entropy is that of "
                f"{effective:.1f}"
            )
    elif scores["coverage"] < LEAST_COVERAGE:
        return f"coverage {scores['coverage']:.3g} is under {LEAST_COVERAGE:g}"
    return None
