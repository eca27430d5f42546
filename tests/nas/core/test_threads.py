"""PyTorch's threads: one while it is asked for, and then as many as before."""

import pytest
import torch

from nas.core.threads import use_one_thread


def test_the_number_of_threads_is_given_back_also_after_a_failure():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with use_one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(ZeroDivisionError), use_one_thread():
            _ = 1 / 0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
