"""What would make a card wait is seen on the CPU too: no update reads a number or a size from the device."""

import pytest
import torch

from tests.parts.devices import Waits, count_waits, kinds


@pytest.mark.parametrize("name", ["variational", "gan, condition projection", "cyclegan"])
def test_no_update_waits_for_the_device(name):
    assert count_waits(kinds()[name], "cpu", updates=3) == count_waits(kinds()[name], "cpu", updates=2) > 0


@pytest.mark.parametrize("waiting", [torch.nonzero, lambda x: x[x > 0], lambda x: bool(x.sum() > 0)])
def test_what_waits_is_found(waiting):
    values = torch.ones(3)
    with Waits(values.device) as waits:
        waiting(values)
    assert waits.found
