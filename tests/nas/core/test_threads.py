"""PyTorch's threads: one while it is asked for, and then as many as before."""

import pytest
import torch

from nas.core.threads import use_threads, use_threads_for


@pytest.fixture
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_the_number_of_threads_is_given_back_also_after_a_failure(three_threads):
    with use_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3
    with pytest.raises(ZeroDivisionError), use_threads(1):
        _ = 1 / 0
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(("work", "rule", "threads"), [(4e8, (), 1), (2e9, (), 3), (4e8, (1e8,), 3), (2e9, (1e10,), 1)])
def test_little_work_is_done_by_one_thread_and_much_by_all(three_threads, work, rule, threads):
    with use_threads_for(work, *rule):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 3
