"""Numbers and names as people read them."""

from __future__ import annotations

import math

_SCALES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_NAMES = {
    "multiply_adds": "multiply-adds",
    "peak_memory_mb": "peak memory",
    "latency_ms": "latency",
    "seconds": "training time",
}


def format_number(value: float) -> str:
    """Format a number in four figures: ``0.01234``, ``12.35``, ``1,235``; very small and large ones as ``1.2e-07``."""
    if not math.isfinite(value):
        return "infinite" if value > 0 else "-infinite" if value < 0 else "not a number"
    if value and (abs(value) < 1e-4 or abs(value) >= 1e7):
        return f"{value:.3g}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def format_count(count: float) -> str:
    """Format how many there are: ``950``, ``12.3 k``, ``4.56 M``."""
    for scale, letter in _SCALES:
        if count >= scale:
            return f"{count / scale:.3g} {letter}"
    return f"{count:.3g}"


def format_seconds(seconds: float) -> str:
    """Format a time: ``0.4 s``, ``52 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.2g} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def format_metric(name: str, value: float, unit: str = "") -> str:
    """Format a metric's value with its unit, costs as people say them."""
    if name in ("parameters", "multiply_adds", "examples") and math.isfinite(value):
        return format_count(value)
    if name == "seconds" and math.isfinite(value):
        return format_seconds(value)
    if name.endswith("_mb"):
        unit = "MB"
    if name.endswith("_ms"):
        unit = "ms"
    return f"{format_number(value)} {unit}".rstrip()


def name_metric(name: str) -> str:
    """Name a metric in words."""
    return _NAMES.get(name, name.replace("_", " "))


def name_operation(name: str) -> str:
    """Name what an edge holds in words: ``conv 3×3``."""
    words = name.split("_")
    if words and len(words[-1]) == 3 and words[-1][1] == "x" and words[-1][::2].isdigit():
        words[-1] = words[-1].replace("x", "×")
    return " ".join(words)


def count_of(count: int, word: str, plural: str = "") -> str:
    """Say how many there are of something: ``1 trial``, ``2 trials``."""
    return f"{count} {word if count == 1 else plural or word + 's'}"
