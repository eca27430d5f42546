"""Columns of tables, and how they become numbers of a vector."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Column:
    """One column of a table, or one channel of sequences, and how it becomes numbers of a vector."""

    name: str
    values: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def width(self) -> int:
        """How many numbers of a vector it takes."""
        return len(self.values) or 1
