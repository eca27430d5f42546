"""What a process may use, and its environment variables."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping


def count_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def set_environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables for a while; processes that are started meanwhile have them as well."""
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
