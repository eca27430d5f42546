"""NAME=VALUE, as benchmarks are given decisions of a space."""

from __future__ import annotations


def pair(text: str) -> tuple[str, str]:
    """A name and its value."""
    name, _, value = text.partition("=")
    return name, value


def several(text: str) -> tuple[str, list[str]]:
    """A name and its values, NAME=A,B."""
    name, values = pair(text)
    return name, values.split(",")
