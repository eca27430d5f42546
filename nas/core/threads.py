"""How many threads PyTorch computes with."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

SEVERAL_THREADS_FROM = 1e9
"""Multiply-adds of a batch's forward pass from which several threads are used: some 200 ms of one core an update."""


def let_threads_sleep() -> None:
    """Let threads that wait for one another sleep, unless the user's environment says otherwise.

    By default they spin, on cores that other programs would use, and each operation waits until a thread that was
    displaced has its turn again. OpenMP reads this when PyTorch is imported (OpenMP 5.0, 6.7), and so do processes that
    are started later.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextlib.contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Let PyTorch compute with so many threads on the CPU, and with as many as before afterwards.

    Sums over several threads depend on how many there are. Small matrices are computed sooner by one thread, and by
    many times where the cores are busy.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def use_threads_for(work: float, several_from: float = SEVERAL_THREADS_FROM) -> Iterator[None]:
    """Let PyTorch compute with one thread where there is little to do for each batch, else with as many as it has.

    The rule does not look at how busy the machine is, so that numbers can be repeated on it.

    Args:
        work: multiply-adds of a batch's forward pass.
        several_from: the least work that several threads do.
    """
    import torch

    with use_threads(1 if work < several_from else torch.get_num_threads()):
        yield
