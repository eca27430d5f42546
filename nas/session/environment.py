"""What a run was made with: Python, packages, machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from datetime import UTC, datetime
from typing import Any

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


def describe_environment(device: str) -> dict[str, Any]:
    """Versions of Python and packages, the machine and the device, as ``environment.json`` keeps them."""
    import torch

    machine = platform.processor() or platform.machine()
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else machine,
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
