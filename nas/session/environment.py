"""What a run was made with: Python, packages, machine, threads."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nas.core.evaluator import Evaluator
from nas.core.process import count_cores
from nas.core.threads import use_threads

ENVIRONMENT_FILE = "environment.json"
_UNRECORDED_RULE = 1e8
"""That of the last version whose runs do not record it."""

_PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "optuna",
    "ray",
    "torchmetrics",
    "safetensors",
    "onnx",
    "onnxruntime",
    "nas-generative",
)


def describe_environment(device: str, evaluator: Evaluator) -> dict[str, Any]:
    """Versions of Python and packages, the machine, the device and the threads, as ``environment.json`` keeps them."""
    import torch

    machine = platform.processor() or platform.machine()
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "several_threads_from": evaluator.several_threads_from,
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else machine,
        "packages": {name: version for name in _PACKAGES if (version := _find_version(name))},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _find_version(package: str) -> str | None:
    """The version of a package; None where it is not installed, as Ray and ONNX need not be."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def read_environment(path: Path) -> dict[str, Any]:
    """Read what the run in this folder began with; see `describe_environment`."""
    recorded: dict[str, Any] = json.loads((path / ENVIRONMENT_FILE).read_text(encoding="utf-8"))
    return recorded


@contextlib.contextmanager
def keep_threads(path: Path, evaluator: Evaluator, workers: int | None = None) -> Iterator[None]:
    """Let candidates be trained with as many threads as when the run began, since sums depend on how many there are.

    There are never more than cores, and OMP_NUM_THREADS has the last word.

    Args:
        workers: the threads of each process that evaluates, where candidates have processes of their own.
    """
    import torch

    recorded = read_environment(path)
    evaluator.several_threads_from = recorded.get("several_threads_from", _UNRECORDED_RULE)
    given = "OMP_NUM_THREADS" in os.environ
    with use_threads(torch.get_num_threads() if given else min(workers or recorded["threads"], count_cores())):
        yield


@dataclass(frozen=True)
class Change:
    """What is not as it was when a run began.

    Attributes:
        name: of what: ``python``, a package, ``threads``.
        then, here: in words; empty where it is not there.
    """

    name: str
    then: str
    here: str

    def __str__(self) -> str:
        return f"{self.name} was {self.then or 'not there'} and is {self.here or 'not there'} here"


def list_changes(then: dict[str, Any], here: dict[str, Any]) -> list[Change]:
    """List what of two mappings of names differs, among the names that both have; packages are looked into."""
    changes = []
    for name in [name for name in here if name in then and name != "started" and then[name] != here[name]]:
        if isinstance(here[name], dict):
            one, other = {**dict.fromkeys(here[name]), **then[name]}, {**dict.fromkeys(then[name]), **here[name]}
            changes += list_changes(one, other)
        else:
            changes.append(Change(name, *("" if value is None else str(value) for value in (then[name], here[name]))))
    return changes
