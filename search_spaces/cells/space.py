"""Spaces with searched cells: what their edges may hold, and the supernets of cells of the edge encoding."""

from __future__ import annotations

from nas.core.genotype import Genotype
from nas.core.space import Choice, Value
from nas.core.supernet import Alphas, Path
from search_spaces.cells.derivation import Allowed, derive_cell, trace_path
from search_spaces.cells.edge import list_edges, nodes_site
from search_spaces.choices import is_within
from search_spaces.weight_sharing import WeightSharingSpace


class CellSpace(WeightSharingSpace):
    """A space with cells, whose supernets relax those of the edge encoding.

    Attributes:
        cells: the cells' names, within which their decisions are asked for.
        more_operations: what edges of cells may hold besides what is usual; names of
            search_spaces.operations.names.OPERATIONS. A subclass with other ones has a name of its own.
    """

    cells: tuple[str, ...]
    more_operations: tuple[str, ...] = ()

    def list_cells(self, genotype: Genotype) -> list[str]:
        """The cells of the edge encoding that a genotype has."""
        return [cell for cell in self.cells if nodes_site(cell) in genotype.content]

    def list_allowed(self, genotype: Genotype) -> Allowed:
        """What each site of a base may be; the number of nodes stays."""
        allowed = {decision.choice.site: decision.choice.values for decision in self.trace(genotype)}
        return allowed | {site: (genotype.content[site],) for site in map(nodes_site, self.list_cells(genotype))}

    def has_free_cells(self, base: Genotype) -> bool:
        """Whether anything is to be decided of a base's cells."""
        allowed = self.list_allowed(base)
        return any(len(values) > 1 and is_within(site, *self.cells) for site, values in allowed.items())

    def is_relaxed(self, choice: Choice) -> bool:
        """Whether it is a decision about a cell."""
        return is_within(choice.site, *self.cells)

    def derive_decisions(self, base: Genotype, alphas: Alphas, max_skips: int | None) -> tuple[dict[str, Value], int]:
        """Every cell by itself; see search_spaces.cells.derivation."""
        allowed = self.list_allowed(base)
        derived = [derive_cell(allowed, cell, alphas, max_skips) for cell in self.list_cells(base)]
        decided = {site: value for decisions, _ in derived for site, value in decisions.items()}
        return decided, max(skips for _, skips in derived)

    def path(self, genotype: Genotype) -> Path:
        """The edges of its cells; see nas.core.supernet.SharesWeights."""
        return {
            name: held
            for cell in self.list_cells(genotype)
            for name, held in trace_path(list_edges(genotype.content, cell), cell).items()
        }
