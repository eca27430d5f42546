"""What needs a graphics card: `pytest -m gpu`. NAS_TEST_DEVICE=cpu runs it on the CPU, to know that it is right."""

import os

import pytest
import torch

from nas.core.errors import UserError
from nas.session.device import choose_device
from tests.parts.extractors import quick_extractors


@pytest.fixture(scope="session", autouse=True)
def device():
    """Where the tests compute; they are skipped where there is no such device."""
    wanted = os.environ.get("NAS_TEST_DEVICE", "cuda")
    try:
        return choose_device(wanted)
    except UserError as error:
        pytest.skip(f"{error}; NAS_TEST_DEVICE names another")


@pytest.fixture(scope="session", autouse=True)
def quick_features(device):
    """Few samples, and extractors that are trained for a moment."""
    with quick_extractors(samples=100, classifier=3_000, self_supervised=1_000):
        yield


@pytest.fixture(autouse=True)
def clean_card(device):
    """Each test leaves no more on a card than it found, but for what PyTorch's libraries keep for themselves."""
    yield
    if device.startswith("cuda"):
        torch.cuda.synchronize()
