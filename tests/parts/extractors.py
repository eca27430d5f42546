"""Small data with classes, and recipes by which extractors are hardly trained."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from evaluators.features import extractor as features
from nas.data.dataset import Split
from tests.conftest import tiny_data

SHORT = {name: replace(recipe, images=128) for name, recipe in features.RECIPES.items()}


@contextmanager
def quick_extractors(samples=None, **images):
    """Extractors of each kind that is named are trained on so many images, and so many samples are scored at most.

    The tests' own cache keeps them by their recipes, so that the workers have them of one training.
    """
    with pytest.MonkeyPatch.context() as patch:
        if samples is not None:
            patch.setattr("evaluators.metrics.samples._MOST_SAMPLES", samples)
        for kind, count in images.items():
            patch.setitem(features.RECIPES, kind, replace(features.RECIPES[kind], images=count))
        yield


def small(labels=True, side=8, channels=1, count=120):
    data = tiny_data(side, channels, count)
    if not labels:
        return data
    parts = {
        name: Split(
            part.examples, (part.examples[:, 0, : side // 2].sum((1, 2)) > part.examples[:, 0].sum((1, 2)) // 2).long()
        )
        for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test))
    }
    return replace(data, classes=("below", "above"), **parts)
