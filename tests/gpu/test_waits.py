"""No update waits for the device: only the losses are looked at, after an epoch's first and last update."""

import pytest

from tests.parts.devices import count_waits, kinds

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("name", list(kinds()))
def test_no_update_waits_for_the_device(name, device):
    assert count_waits(kinds()[name], device, updates=3) == count_waits(kinds()[name], device, updates=2)
