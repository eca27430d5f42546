"""Durations as people write them."""

from __future__ import annotations

import re

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_duration(duration: str | float) -> float:
    """Parse a duration into seconds: ``90``, ``90s``, ``10m``, ``1.5h``, ``2d``, ``1h30m``.

    Raises:
        ValueError: it is not one.
    """
    text = str(duration).strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("a duration such as 90s, 10m or 1.5h")
    total = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if total <= 0:
        raise ValueError("a duration longer than nothing")
    return total


def format_duration(seconds: float) -> str:
    """Format seconds as a duration that `parse_duration` takes: ``45s``, ``3.5m``, ``2h``."""
    for unit in ("h", "m"):
        if seconds >= 2 * _UNITS[unit]:
            return f"{seconds / _UNITS[unit]:.3g}{unit}"
    return f"{seconds:.3g}s"
