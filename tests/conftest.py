"""Shared by all tests: one thread each, and a small data set."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from evaluators.images import ImageData
from evaluators.sources import Source

torch.set_num_threads(1)


def tiny_data(side: int = 8, channels: int = 1, count: int = 96) -> ImageData:
    """Soft blobs, made at once: as learnable as digits and quicker."""
    from evaluators.data import split
    from evaluators.images import Split

    generator = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side]
    centres = generator.uniform(1, side - 2, (count, 2, 1, 1))
    blobs = np.exp(-((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2) / 3)
    images = (blobs[:, None].repeat(channels, 1) * 255).astype(np.uint8)
    return split("tiny", Source(Split(torch.from_numpy(images))), seed=0, train_size=None)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Extractors and downloads of the tests are not the user's; processes that tests start are told as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_DATA_DIR", str(tmp_path_factory.getbasetemp().parent / "cache"))
        yield


@pytest.fixture(scope="session")
def tiny() -> ImageData:
    return tiny_data()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extractors that are hardly trained."""
    from evaluators import features
    from tests.extractors import SHORT

    monkeypatch.setattr(features, "RECIPES", SHORT)
