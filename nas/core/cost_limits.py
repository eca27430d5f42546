"""Limits of what a candidate may cost, as people write them."""

from __future__ import annotations

import re

COSTS = {
    "max_parameters": ("parameters", "parameters"),
    "max_macs": ("multiply_adds", "multiply-adds for an example"),
    "max_memory": ("training_memory_mb", "MB of memory in training"),
    "max_latency": ("latency_ms", "ms for an example"),
}
"""Of each option the cost that it limits, and what is said of it."""

_COUNTS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_UNITS = {
    "max_parameters": _COUNTS,
    "max_macs": _COUNTS,
    "max_memory": {"": 1.0, "mb": 1.0, "gb": 1e3},
    "max_latency": {"": 1.0, "ms": 1.0, "s": 1e3},
}


def parse_limit(option: str, text: str | float) -> float:
    """Parse a limit: ``500k``, ``1.5M``, ``800MB``, ``2GB``, ``5ms``.

    Raises:
        ValueError: it is none, or nothing would keep it.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", str(text).strip().lower())
    factor = _UNITS[option].get(found[2]) if found else None
    if not found or factor is None or float(found[1]) <= 0:
        raise ValueError(ALLOWED[option])
    return float(found[1]) * factor


ALLOWED = {
    "max_parameters": "a number such as 500000, 500k or 1.5M",
    "max_macs": "a number such as 20000000, 20M or 1G",
    "max_memory": "an amount such as 800MB or 2GB",
    "max_latency": "a time such as 5ms",
}
"""What the options can be, in words."""
