"""How many threads PyTorch computes with."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def use_one_thread() -> Iterator[None]:
    """Let PyTorch compute with one thread on the CPU, and with as many as before afterwards.

    Sums over several threads depend on how many there are. Small matrices are computed sooner by one thread, and by
    many times where the cores are busy.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
