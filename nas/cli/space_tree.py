"""The decisions of a space for a reader: what repeats is folded."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nas.core.space import Choice

_NUMBERS = re.compile(r"\d+([-.]\d+)*")


def list_choices(choices: Iterable[Choice]) -> list[str]:
    """A line for each choice."""
    return [f"  {choice.site}: {_list_values([choice])} [{choice.role}]" for choice in choices]


def fold_choices(choices: Iterable[Choice]) -> list[str]:
    """Fold choices whose names differ in numbers alone into a line, and parts with the same choices into one.

    Numbers in a name become ``*``, which --pin and --restrict take for any text. What belongs to a part, such as a
    cell, comes after the rest.
    """
    single: dict[str, list[Choice]] = {}
    parts: dict[str, dict[str, list[Choice]]] = {}
    for choice in choices:
        part, dot, rest = choice.site.partition(".")
        part, rest = (_NUMBERS.sub("*", name) for name in (part, rest))
        (parts.setdefault(part, {}) if dot else single).setdefault(rest if dot else part, []).append(choice)
    lines = [f"  {name}: {_describe(found)}" for name, found in single.items()]
    alike: dict[str, list[str]] = {}
    for part, named in parts.items():
        body = "\n".join(f"    .{name}: {_describe(found)}" for name, found in sorted(named.items()))
        alike.setdefault(body, []).append(part)
    return [*lines, *(f"  {' and '.join(names)}\n{body}" for body, names in alike.items())]


def _describe(choices: list[Choice]) -> str:
    """Values, roles, and how many choices a folded name stands for."""
    roles = "/".join(sorted({choice.role for choice in choices}))
    many = f" ({len(choices)} of them)" if len(choices) > 1 else ""
    return f"{_list_values(choices)} [{roles}]{many}"


def _list_values(choices: list[Choice]) -> str:
    """Every value that any of the choices has; those of the one with the most come first."""
    longest = sorted(choices, key=lambda choice: -len(choice.values))
    return ", ".join(str(value) for value in dict.fromkeys(value for choice in longest for value in choice.values))
