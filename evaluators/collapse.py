"""When a generator has collapsed: it makes too few different images, however good each of them is."""

from __future__ import annotations

from collections.abc import Mapping

LEAST_DEVIATION = 0.25
"""Of the data's deviation of a pixel from image to image, what a generator's images must have."""
LEAST_MODES = 0.5
"""Of the classes, what a classifier must find among the generator's images."""
LEAST_COVERAGE = 0.02
"""Of the real images without labels, how many must have a generated one among their neighbours. A hundred images
repeated cover 0.13 of MNIST and noise 0.002."""


def deviation_collapse(scores: Mapping[str, float], reference_deviation: float) -> str | None:
    """Why the images are all alike; None where they are not.

    Args:
        scores: with ``sample_deviation``, the standard deviation of a pixel over the images, the mean of all pixels.
        reference_deviation: that of the data.
    """
    found, least = scores["sample_deviation"], LEAST_DEVIATION * reference_deviation
    if found >= least:
        return None
    return f"sample_deviation {found:.3g} is under {least:.3g}, {LEAST_DEVIATION:.0%} of the data's"


def collapse(scores: Mapping[str, float], reference_deviation: float, classes: int) -> str | None:
    """Why a generator counts as collapsed, in words; None where it does not.

    Args:
        scores: those of its samples; ``modes`` among them where the data has classes, else ``coverage`` counts.
        reference_deviation: see `deviation_collapse`.
        classes: how many classes the data has; 0 where it has no labels.
    """
    if (reason := deviation_collapse(scores, reference_deviation)) is not None:
        return reason
    if classes and "modes" in scores:
        if scores["modes"] < LEAST_MODES * classes:
            return f"modes {scores['modes']:g} is under {LEAST_MODES:.0%} of the {classes} classes"
    elif scores["coverage"] < LEAST_COVERAGE:
        return f"coverage {scores['coverage']:.3g} is under {LEAST_COVERAGE:g}"
    return None
