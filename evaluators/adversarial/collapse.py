"""Finds out whether a generator has collapsed: whether it makes too few different images, however good these are."""

from __future__ import annotations

import math
from collections.abc import Mapping

LEAST_DEVIATION = 0.25
"""The least standard deviation of a pixel over generated images, as a share of the data's."""
LEAST_MODES = 0.5
"""The least share of the classes that a classifier must find among generated images. It either finds them with
confidence (``modes``) or, because images may differ although they are blurred, the exponential of ``label_entropy``
counts them."""
LEAST_COVERAGE = 0.02
"""The least ``coverage`` of data without labels. A hundred images that are repeated cover 0.13 of MNIST, and noise
0.002."""


def find_deviation_collapse(scores: Mapping[str, float], reference_deviation: float) -> str | None:
    """Say why images count as all alike; None if they differ.

    Args:
        scores: with ``sample_deviation`` (see evaluators.metrics.samples.sample_deviation).
        reference_deviation: the same of the data.
    """
    found, least = scores["sample_deviation"], LEAST_DEVIATION * reference_deviation
    if found >= least:
        return None
    return f"sample_deviation {found:.3g} is under {least:.3g}, {LEAST_DEVIATION:.0%} of the data's"


def find_collapse(scores: Mapping[str, float], reference_deviation: float, classes: int) -> str | None:
    """Say why a generator counts as collapsed; None if it does not.

    Args:
        scores: of its samples; without ``modes`` and ``label_entropy`` among them, ``coverage`` is looked at.
        reference_deviation: see `find_deviation_collapse`.
        classes: how many classes the data has; 0 without labels.
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
