"""Small data with classes, and recipes by which extractors are hardly trained."""

from dataclasses import replace

from evaluators import features
from evaluators.images import Split
from tests.conftest import tiny_data

SHORT = {name: replace(recipe, images=128) for name, recipe in features.RECIPES.items()}


def small(labels=True, side=8, channels=1, count=120):
    data = tiny_data(side, channels, count)
    if not labels:
        return data
    parts = {
        name: Split(
            part.images, (part.images[:, 0, : side // 2].sum((1, 2)) > part.images[:, 0].sum((1, 2)) // 2).long()
        )
        for name, part in (("train", data.train), ("validation", data.validation), ("test", data.test))
    }
    return replace(data, classes=("below", "above"), **parts)
