"""The encodings of cells by name: how a cell is decided, and what becomes of its decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.core.space import Link, Value
from search_spaces.cells import edge, graph, hierarchical
from search_spaces.choices import Asker, is_within
from search_spaces.operations.names import extend_operations

if TYPE_CHECKING:
    from torch import nn

Content = Mapping[str, Value]


@dataclass(frozen=True)
class Encoding:
    """A cell that is built as the graph that it computes; it is named as in ``encoder_cell.nodes``.

    Attributes:
        operations: what an edge may hold, unless a space offers more.
        ask: ask for the cell's decisions, given what an edge may hold.
        edges: of a genotype's content and the cell's name, the graph that it computes.
    """

    operations: tuple[str, ...]
    ask: Callable[[Asker, tuple[str, ...]], None]
    edges: Callable[[Content, str], list[edge.Edge]]

    def decide(self, ask: Asker, more: tuple[str, ...] = ()) -> None:
        """Ask for the cell's decisions; edges may hold `more` operations than is usual."""
        self.ask(ask, extend_operations(self.operations, more))

    def build(self, content: Content, cell: str, channels: int, norm: str, act: str, dimensions: int = 2) -> nn.Module:
        """The cell as a module; see search_spaces.cells.edge.build_cell."""
        return edge.build_cell(self.edges(content, cell), channels, norm, act, dimensions)

    def describe(self, content: Content, cell: str) -> str:
        """The cell in a few words."""
        return edge.describe_cell(self.edges(content, cell))


def draw_cells(content: Content, cells: Iterable[str], encoding: str = "edge") -> dict[str, list[Link]]:
    """The graphs of those of these cells that a genotype has, by their names; see nas.core.space.Drawable."""
    own = [cell for cell in cells if any(is_within(site, cell) for site in content)]
    return {cell: edge.list_links(ENCODINGS[encoding].edges(content, cell)) for cell in own}


class _Hierarchical(Encoding):
    """A cell that is built of modules of its motifs."""

    def build(self, content: Content, cell: str, channels: int, norm: str, act: str, dimensions: int = 2) -> nn.Module:
        return hierarchical.build_cell(content, cell, channels, norm, act, dimensions)

    def describe(self, content: Content, cell: str) -> str:
        return hierarchical.describe_cell_of_motifs(content, cell)


ENCODINGS: dict[str, Encoding] = {
    "edge": Encoding(edge.CELL_OPERATIONS, edge.decide_cell, edge.list_edges),
    "hierarchical": _Hierarchical(hierarchical.PRIMITIVES, hierarchical.decide_cell, hierarchical.list_edges),
    "graph": Encoding(edge.CELL_OPERATIONS, graph.decide_cell, graph.list_edges),
}
