"""The encodings of cells by name, each as the same functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.core.space import Value
from search_spaces.cells import edge, graph, hierarchical
from search_spaces.choices import Asker
from search_spaces.operations.names import extend_operations

if TYPE_CHECKING:
    from torch import nn

Content = Mapping[str, Value]


@dataclass(frozen=True)
class Encoding:
    """How a cell is decided and what becomes of its decisions; a cell is named as in ``encoder_cell.nodes``.

    Attributes:
        operations: what an edge may hold, unless a space offers more.
        ask: ask for the cell's decisions, of an edge's operations from among these.
        edges: of a genotype's content and the cell's name, the graph that it computes.
        build: of the same and the channels, normalisation and activation, the module.
        describe: of the same as `edges`, the cell in a few words.
    """

    operations: tuple[str, ...]
    ask: Callable[[Asker, tuple[str, ...]], None]
    edges: Callable[[Content, str], list[edge.Edge]]
    build: Callable[[Content, str, int, str, str], nn.Module]
    describe: Callable[[Content, str], str]

    def decide(self, ask: Asker, more: tuple[str, ...] = ()) -> None:
        """Ask for the cell's decisions; edges may hold `more` operations than are usual."""
        self.ask(ask, extend_operations(self.operations, more))


def _make_encoding(
    ask: Callable[[Asker, tuple[str, ...]], None], edges: Callable[[Content, str], list[edge.Edge]]
) -> Encoding:
    def build(content: Content, cell: str, channels: int, norm: str, act: str) -> nn.Module:
        return edge.build_cell(edges(content, cell), channels, norm, act)

    def describe(content: Content, cell: str) -> str:
        return edge.describe_cell(edges(content, cell))

    return Encoding(edge.CELL_OPERATIONS, ask, edges, build, describe)


ENCODINGS: dict[str, Encoding] = {
    "edge": _make_encoding(edge.decide_cell, edge.list_edges),
    "hierarchical": Encoding(
        hierarchical.PRIMITIVES,
        hierarchical.decide_cell,
        hierarchical.list_edges,
        hierarchical.build_cell,
        hierarchical.describe_cell_of_motifs,
    ),
    "graph": _make_encoding(graph.decide_cell, graph.list_edges),
}
