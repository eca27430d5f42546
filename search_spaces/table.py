"""A space whose genotypes are the rows of a table of known results: for benchmarks of strategies."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np

from nas.core.errors import InvalidGenotype, UserError
from nas.core.genotype import Genotype
from nas.core.space import Choice, Choose, Decision, Generator, Role, Shape, Value
from search_spaces.choices import Asker, ChoiceSpace
from search_spaces.values import draw_other_value

if TYPE_CHECKING:
    from torch import nn

Row = tuple[Value, ...]


class TableSpace(ChoiceSpace):
    """One decision a column, all independent, nothing to build.

    Where the table lacks a combination, growing it gives the nearest row that is there: a changed decision counts 1,
    an ordered one the share of its range that it moved. A search makes thousands of genotypes a
    second here: rows, their genotypes and their decisions are looked up rather than made again.

    Args:
        columns: the decisions' values by name, in order.
        ordered: the decisions whose neighbouring values are alike.
        rows: the combinations that are there; None for all.
    """

    name = "table"

    def __init__(
        self, columns: Mapping[str, Sequence[Value]], ordered: Collection[str] = (), rows: Iterable[Row] | None = None
    ) -> None:
        super().__init__()
        role: Role = "hyperparameter" if ordered else "operation"  # one for all: mutation draws the role first
        self._choices = tuple(Choice(site, tuple(row), role, ordered=site in ordered) for site, row in columns.items())
        self._index = tuple({value: i for i, value in enumerate(choice.values)} for choice in self._choices)
        self._free = tuple(i for i, choice in enumerate(self._choices) if len(choice.values) > 1)
        self._decided = tuple({value: Decision(choice, value) for value in choice.values} for choice in self._choices)
        self._rows: list[Row] | None = None
        if rows is not None:
            self._rows = list(rows)
            self._there = {row: number for number, row in enumerate(self._rows)}
            self._indices = np.array([self._indices_of(row) for row in self._rows])  # (rows, columns)
            ranges = [len(choice.values) - 1 if choice.ordered else 1 for choice in self._choices]
            self._ranges = np.maximum(1, ranges)
        self._genotypes: dict[Row, Genotype] = {}
        self._row_of: dict[str, Row] = {}

    def decide(self, ask: Asker) -> None:
        """Ask for every column."""
        for choice in self._choices:
            ask.choose(choice.site, choice.values, choice.role, choice.ordered)

    def choices(self) -> dict[str, Choice]:
        """Every column."""
        return {choice.site: choice for choice in self._choices}

    def size(self) -> float:
        """The number of rows."""
        if self._rows is not None:
            return float(len(self._rows))
        return math.prod((len(choice.values) for choice in self._choices), start=1.0)

    def grow(self, choose: Choose) -> Genotype:
        """The row that `choose` answers, or the nearest that is there."""
        row = []
        for i, choice in enumerate(self._choices):
            value = choose(choice) if len(choice.values) > 1 else choice.values[0]
            if value not in self._index[i]:
                raise InvalidGenotype(choice.site, f"{value!r} is not one of {', '.join(map(str, choice.values))}")
            row.append(value)
        return self._genotype(tuple(row))

    def _genotype(self, row: Row) -> Genotype:
        genotype = self._genotypes.get(row)
        if genotype is None:
            near = row if self._rows is None or row in self._there else self._nearest(row)
            if near != row:
                genotype = self._genotype(near)
            else:
                content = {choice.site: value for choice, value in zip(self._choices, row, strict=True)}
                genotype = Genotype.of(self.name, self.version, content)
                self._row_of[genotype.text] = row
            self._genotypes[row] = genotype
        return genotype

    def _indices_of(self, row: Row) -> list[int]:
        return [index[value] for index, value in zip(self._index, row, strict=True)]

    def _nearest(self, row: Row, changed: int | None = None, parent: Row | None = None) -> Row:
        """The nearest row that is there: not the parent, and with the value in column `changed` if any has it."""
        assert self._rows is not None
        away = np.abs(self._indices - self._indices_of(row))
        distance = np.minimum(away / self._ranges, 1).sum(1)
        if changed is not None and (having := away[:, changed] == 0).any():
            distance = np.where(having, distance, np.inf)
        if parent is not None:
            distance[self._there[parent]] = np.inf
        return self._rows[int(distance.argmin())]

    def row(self, genotype: Genotype) -> Row:
        """The values of a genotype, column by column.

        Raises:
            InvalidGenotype: it is not in the table.
        """
        row = self._row_of.get(genotype.text)
        if row is None:
            row = tuple(decision.value for decision in super().trace(genotype))
            if self._rows is not None and row not in self._there:
                raise InvalidGenotype("genotype", "is not in the table")
            self._row_of[genotype.text] = row
        return row

    def trace(self, genotype: Genotype) -> tuple[Decision, ...]:
        """Every decision of a genotype in order."""
        return tuple(decided[value] for decided, value in zip(self._decided, self.row(genotype), strict=True))

    def mutate(self, genotype: Genotype, generator: Generator) -> tuple[Genotype, str]:
        """Change one decision; an ordered one moves to a neighbouring value with probability one half."""
        row = self.row(genotype)
        if not self._free:
            return genotype, "nothing is free to change"
        place = self._free[int(generator.integers(len(self._free)))]
        decision = self._decided[place][row[place]]
        value = draw_other_value(decision, generator)
        child = (*row[:place], value, *row[place + 1 :])
        if self._rows is not None and child not in self._there:
            child = self._nearest(child, changed=place, parent=row)
        return self._genotype(child), f"{decision.choice.site}: {decision.value} -> {value}"

    def restrict(self, restrictions: Mapping[str, tuple[Value, ...]], option: str = "--restrict") -> Self:
        """The rows with these values alone; see Restrictable.restrict.

        Raises:
            UserError: a site or a value that does not exist, or no row is left.
        """
        narrowed = super().restrict(restrictions, option)._restrictions
        columns = {choice.site: narrowed.get(choice.site, choice.values) for choice in self._choices}
        ordered = [choice.site for choice in self._choices if choice.ordered]
        rows = self._rows
        if rows is not None:
            allowed = list(columns.values())
            rows = [row for row in rows if all(v in values for v, values in zip(row, allowed, strict=True))]
            if not rows:
                raise UserError(option, ", ".join(restrictions), "values that a row of the table has")
        return type(self)(columns, ordered, rows)

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """Nothing is built.

        Raises:
            NotImplementedError: always; a table has results, not models.
        """
        raise NotImplementedError("a table of known results has no models")

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """The decisions."""
        return ", ".join(f"{decision.choice.site} {decision.value}" for decision in self.trace(genotype))
