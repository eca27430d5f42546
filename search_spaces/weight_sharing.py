"""Spaces with searched cells, whose candidates are paths through supernets (nas.core.supernet.SharesWeights)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Self

from nas.core.errors import InvalidGenotype
from nas.core.genotype import Genotype
from nas.core.space import Choice, Choose, Link, Value
from nas.core.supernet import Alphas, Derived, Path
from search_spaces.cells.derivation import Allowed, derive_cell, trace_path
from search_spaces.cells.edge import list_edges, name_nodes
from search_spaces.cells.encodings import draw_cells
from search_spaces.choices import ChoiceSpace, is_within

Preference = Value | Callable[[tuple[Value, ...]], Value]
"""What a base takes where the space allows it: a value, or what chooses among a choice's values, such as `max`."""


class WeightSharingSpace(ChoiceSpace):
    """A space of cells with supernets, which relax what cells hold; a subclass writes `relax`.

    Here cells are those of the edge encoding; a space with others writes `derive_decisions` and `path` as well.

    Attributes:
        cells: the cells' names, within which their decisions are asked for.
        more_operations: names of search_spaces.operations.names.OPERATIONS that cells may hold besides what is usual.
            A subclass that sets it has a `name` of its own, as its genotypes are others.
        required: what some decisions of a base must be, by site.
        preferred: what others are if they may; cells are as large as they may be.
    """

    cells: tuple[str, ...]
    more_operations: tuple[str, ...] = ()
    required: Mapping[str, Value] = {}
    preferred: Mapping[str, Preference] = {}

    def is_relaxed(self, choice: Choice) -> bool:
        """Whether supernets leave this choice open."""
        return is_within(choice.site, *self.cells)

    def base(self, choose: Choose) -> Genotype:
        """A genotype grown by `choose`, but for what is required and preferred; see Relaxable.base."""
        wanted = {**dict.fromkeys(map(name_nodes, self.cells), max), **self.preferred, **self.required}

        def answer(choice: Choice) -> Value:
            value = wanted.get(choice.site)
            if callable(value):
                return value(choice.values)
            return value if value in choice.values else choose(choice)

        genotype = self.grow(answer)
        for site, needed in self.required.items():
            found = genotype.content.get(site, "not decided")
            if found != needed:
                raise InvalidGenotype(site, f"is {found!r}, a supernet needs {needed!r}")
        allowed = self.list_allowed(genotype)
        if not any(len(values) > 1 and is_within(site, *self.cells) for site, values in allowed.items()):
            raise InvalidGenotype(self.cells[0], "is decided in full, as are other cells: there is nothing to relax")
        return genotype

    def list_cells(self, genotype: Genotype) -> list[str]:
        """The cells of the edge encoding that a genotype has."""
        return [cell for cell in self.cells if name_nodes(cell) in genotype.content]

    def graphs(self, genotype: Genotype) -> dict[str, list[Link]]:
        """Its cells; see nas.core.space.Drawable."""
        return draw_cells(genotype.content, self.cells, str(genotype.content.get("cells", "edge")))

    def list_allowed(self, genotype: Genotype) -> Allowed:
        """What each site of a base may be; the number of nodes stays."""
        allowed = {decision.choice.site: decision.choice.values for decision in self.trace(genotype)}
        return allowed | {site: (genotype.content[site],) for site in map(name_nodes, self.list_cells(genotype))}

    def derive(self, genotype: Genotype, alphas: Alphas, max_skips: int | None = None) -> Derived:
        """The base with the relaxed decisions that the alphas stand for; see Relaxable.derive."""
        decided, skips = self.derive_decisions(genotype, alphas, max_skips)
        derived = Genotype.of(self.name, genotype.version, {**genotype.content, **decided})
        self.validate(derived)
        return Derived(derived, skips)

    def derive_decisions(self, base: Genotype, alphas: Alphas, max_skips: int | None) -> tuple[dict[str, Value], int]:
        """The relaxed decisions, and the skips of the cell that has the most without the guard."""
        allowed = self.list_allowed(base)
        derived = [derive_cell(allowed, cell, alphas, max_skips) for cell in self.list_cells(base)]
        decided = {site: value for decisions, _ in derived for site, value in decisions.items()}
        return decided, max(skips for _, skips in derived)

    def path(self, genotype: Genotype) -> Path:
        """The edges of its cells; see SharesWeights.path."""
        edges = {cell: list_edges(genotype.content, cell) for cell in self.list_cells(genotype)}
        return {name: held for cell in edges for name, held in trace_path(edges[cell], cell).items()}

    def paths(self, base: Genotype) -> Self:
        """This space with all but the relaxed decisions as the base has them; see SharesWeights.paths."""
        fixed = {d.choice.site: (d.value,) for d in self.trace(base) if not self.is_relaxed(d.choice)}
        return self.restrict(fixed, "--weight-sharing")
