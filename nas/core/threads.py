"""How many threads PyTorch computes with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

SMALL_WORK = 100_000_000
"""Multiply-adds of a batch's forward pass under which one thread is used: some five milliseconds of one core."""


@contextlib.contextmanager
def use_one_thread() -> Iterator[None]:
    """Let PyTorch compute with one thread on the CPU, and with as many as before afterwards.

    Sums over several threads depend on how many there are. Small matrices are computed sooner by one thread, and by
    many times where the cores are busy.
    """
    with use_threads_for(0):
        yield


@contextlib.contextmanager
def use_threads_for(work: float) -> Iterator[None]:
    """Let PyTorch compute with one thread where there is little to do for each batch, else with as many as it has.

    The rule does not look at how busy the machine is, so that numbers can be repeated on it.

    Args:
        work: multiply-adds of a batch's forward pass.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1 if work < SMALL_WORK else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
