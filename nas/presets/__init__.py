"""Presets: named sets of options, each a file that ``--config`` takes as well, whose first line says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.core.errors import unknown_name

_FOLDER = Path(__file__).parent


def list_presets() -> dict[str, str]:
    """List all presets by name, with a line on each."""
    return {path.stem: _read(path).partition("\n")[0].removeprefix("# ") for path in sorted(_FOLDER.glob("*.yaml"))}


def describe_preset(name: str) -> str:
    """Give a preset's file.

    Raises:
        UserError: there is none of this name.
    """
    return _read(_find(name, "NAME"))


def load_preset(name: str) -> dict[str, Any]:
    """Load the options of a preset, by their names in Python.

    Raises:
        UserError: there is none of this name.
    """
    from nas.config import read_yaml  # which takes longer to import than a listing

    return read_yaml(_find(name, "--preset"))


def _find(name: str, option: str) -> Path:
    known = {path.stem: path for path in _FOLDER.glob("*.yaml")}
    if name not in known:
        raise unknown_name(option, name, known)
    return known[name]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")
