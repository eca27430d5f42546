"""A table of known results: decision columns, and columns of numbers."""

from __future__ import annotations

import csv
import fnmatch
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.core.errors import UserError, unknown_name
from nas.core.space import Value
from nas.core.trial import Direction

Row = tuple[Value, ...]


@dataclass(frozen=True)
class Table:
    """What is known of every candidate.

    Attributes:
        decisions: the values of each decision, by name; in increasing order where it is ordered.
        ordered: the decisions whose neighbouring values are alike.
        rows: the decisions of each candidate.
        results: a number for each row, by column; NaN where there is none.
    """

    path: str
    decisions: dict[str, tuple[Value, ...]]
    ordered: tuple[str, ...]
    rows: tuple[Row, ...]
    results: dict[str, np.ndarray]

    @property
    def complete(self) -> bool:
        """Whether every combination is there."""
        return len(self.rows) == math.prod(len(values) for values in self.decisions.values())

    def column(self, option: str, name: str) -> np.ndarray:
        """The results in a column.

        Raises:
            UserError: there is no such column of results.
        """
        if name not in self.results:
            raise unknown_name(option, name, self.results)
        return self.results[name]

    def matching(self, option: str, pattern: str) -> list[np.ndarray]:
        """The result columns that a pattern with ``*`` or a name stands for.

        Raises:
            UserError: there are none.
        """
        names = fnmatch.filter(self.results, pattern)
        if not names:
            raise unknown_name(option, pattern, self.results)
        return [self.results[name] for name in names]


def read_table(path: Path, decisions: Sequence[str] = (), ordered: Sequence[str] = ()) -> Table:
    """Read a CSV file with a line of column names.

    Args:
        decisions: the columns that are decisions; by default those that are not numbers, and the ordered ones.
        ordered: the decisions whose values are numbers with an order.

    Raises:
        UserError: no such file, not such a table, or columns that it does not have.
    """
    names, lines = _read(path)
    columns = dict(zip(names, zip(*lines, strict=True), strict=True))
    for option, wanted in (("--decisions", decisions), ("--ordered", ordered)):
        for name in wanted:
            if name not in columns:
                raise unknown_name(option, name, columns)
    numbers = {name: _parse_numbers(cells) for name, cells in columns.items()}
    for name in ordered:
        if numbers[name] is None:
            raise UserError("--ordered", name, "columns of numbers", why="is not a column of numbers")
        if decisions and name not in decisions:
            raise UserError("--ordered", name, ", ".join(decisions), why="is not among --decisions")
    chosen = [n for n in names if n in decisions] or [n for n in names if numbers[n] is None or n in ordered]
    if not chosen:
        raise UserError("--decisions", "", ", ".join(names), why="every column is of numbers: say which are decisions")
    values = {name: _parse_values(columns[name], numbers[name], name in ordered) for name in chosen}
    rows = tuple(zip(*values.values(), strict=True))
    _check_unique(rows, chosen)
    results = {
        name: found for name in names if name not in chosen and (found := numbers[name]) is not None
    }  # fmt: skip
    if not results:
        raise UserError("--table", str(path), "a table with a column of results, which are numbers")
    domains = {name: _sort_domain(cells, name in ordered) for name, cells in values.items()}
    return Table(str(path), domains, tuple(n for n in chosen if n in ordered), rows, results)


def _read(path: Path) -> tuple[list[str], list[list[str]]]:
    allowed = "a CSV file: a line of column names, then a line for each candidate"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            names = [name.strip() for name in next(reader, [])]
            lines = []
            for line in reader:
                if not line:
                    continue
                if len(line) != len(names):
                    why = f"line {reader.line_num} has {len(line)} cells, the first has {len(names)}"
                    raise UserError("--table", str(path), allowed, why=why)
                lines.append([cell.strip() for cell in line])
    except OSError as error:
        raise UserError("--table", str(path), allowed, why=error.strerror or str(error)) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError("--table", str(path), allowed, why=str(error)) from None
    if not lines:
        raise UserError("--table", str(path), allowed, why="has no candidates")
    if len(set(names)) < len(names) or "" in names:
        raise UserError("--table", str(path), allowed, why="two columns have one name, or one has none")
    return names, lines


def _parse_numbers(cells: Sequence[str]) -> np.ndarray | None:
    """The cells as floats, empty ones NaN; None where one is no number, or all are empty."""
    try:
        found = np.array([float(cell) if cell else math.nan for cell in cells])
    except ValueError:
        return None
    return None if np.isnan(found).all() else found


def _parse_values(cells: Sequence[str], numbers: np.ndarray | None, ordered: bool) -> list[Value]:
    """A decision's cells as JSON values: texts, whole numbers, or numbers."""
    if numbers is None or not np.isfinite(numbers).all():
        if ordered:
            raise UserError("--ordered", "a column with an empty or infinite cell", "columns of finite numbers")
        return list(cells)
    if all(number.is_integer() for number in numbers):
        return [int(number) for number in numbers]
    return [float(number) for number in numbers]


def _sort_domain(values: Sequence[Value], ordered: bool) -> tuple[Value, ...]:
    distinct = list(dict.fromkeys(values))
    return tuple(sorted(distinct, key=float) if ordered else sorted(distinct, key=str))


def _check_unique(rows: Sequence[Row], names: Sequence[str]) -> None:
    first: dict[Row, int] = {}
    for number, row in enumerate(rows):
        if row in first:
            same = ", ".join(f"{name} {value}" for name, value in zip(names, row, strict=True))
            why = f"candidates {first[row] + 1} and {number + 1} have the same decisions ({same})"
            raise UserError("--decisions", ",".join(names), "columns that tell the candidates apart", why=why)
        first[row] = number


@dataclass(frozen=True)
class Question:
    """What is searched in a table, and what is known of the answer.

    Attributes:
        objective: the column whose best row is looked for.
        report: a second column, whose regret is reported as well.
        observe: a pattern of the columns of which an evaluation gives one at random; the objective if None.
    """

    table: Table
    objective: str
    direction: Direction = "maximize"
    report: str | None = None
    observe: str | None = None

    def __post_init__(self) -> None:
        self.table.column("--objective", self.objective)
        if self.report is not None:
            self.table.column("--report", self.report)
        if self.observe is not None:
            self.table.matching("--observe", self.observe)

    @property
    def observed(self) -> list[np.ndarray]:
        """The columns that an evaluation draws from."""
        if self.observe is None:
            return [self.table.results[self.objective]]
        return self.table.matching("--observe", self.observe)

    @property
    def optimum(self) -> float:
        """The best value of the objective."""
        return self._best(self.objective)

    def _best(self, column: str) -> float:
        values = self.table.results[column]
        return float(np.nanmax(values) if self.direction == "maximize" else np.nanmin(values))

    def regrets(self, column: str) -> np.ndarray:
        """How much worse than the best each row is in a column, in the column's unit; 0 for the best.

        A row without a value is as bad as the worst.
        """
        values = np.abs(self.table.results[column] - self._best(column))
        return np.where(np.isnan(values), np.nanmax(values), values)
