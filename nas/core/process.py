"""What a process may use, and its environment variables."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path


def count_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def count_free_memory() -> int:
    """Count the bytes of memory that this process may still use, by the machine and, on Linux, by its control groups.

    What the system keeps of files, and would give up, is free.
    """
    import psutil  # which listing data sets does not need

    free = int(psutil.virtual_memory().available)
    top = Path("/sys/fs/cgroup")
    try:
        own = Path("/proc/self/cgroup").read_text(encoding="utf-8").rpartition("::/")[2].strip()
    except OSError:
        return free  # there are none
    for folder in (group := top / own, *group.parents):
        with contextlib.suppress(OSError, ValueError):  # of those without a limit there is no such file, or it says max
            limit = int((folder / "memory.max").read_text(encoding="utf-8"))
            used = int((folder / "memory.current").read_text(encoding="utf-8"))
            kept = re.search(
                r"^inactive_file (\d+)", (folder / "memory.stat").read_text(encoding="utf-8"), re.MULTILINE
            )
            free = min(free, limit - used + (int(kept[1]) if kept else 0))
    return max(0, free)


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
