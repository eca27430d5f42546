"""PyTorch's threads: one while it is asked for, and then as many as before."""

import pytest
import torch

from nas.core.threads import use_one_thread, use_threads_for


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


def test_little_work_is_done_by_one_thread_and_much_by_all():
    torch.set_num_threads(3)
    try:
        for work, threads in ((1e6, 1), (1e9, 3)):
            with use_threads_for(work):
                assert torch.get_num_threads() == threads
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(1)
