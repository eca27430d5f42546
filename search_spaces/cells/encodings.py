"""The encodings of cells by name, each as the same four functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.core.space import Value
from search_spaces.cells import edge, graph, hierarchical
from search_spaces.choices import Asker

if TYPE_CHECKING:
    from torch import nn

Content = Mapping[str, Value]


@dataclass(frozen=True)
class Encoding:
    """How a cell is decided and what becomes of its decisions; a cell is named as in ``encoder_cell.nodes``.

    Attributes:
        decide: ask for the cell's decisions.
        edges: of a genotype's content and the cell's name, the graph that it computes.
        build: of the same and the channels, normalisation and activation, the module.
        describe: of the same as `edges`, the cell in a few words.
    """

    decide: Callable[[Asker], None]
    edges: Callable[[Content, str], list[edge.Edge]]
    build: Callable[[Content, str, int, str, str], nn.Module]
    describe: Callable[[Content, str], str]


def _of_edges(decide: Callable[[Asker], None], edges: Callable[[Content, str], list[edge.Edge]]) -> Encoding:
    def build(content: Content, cell: str, channels: int, norm: str, act: str) -> nn.Module:
        return edge.build_cell(edges(content, cell), channels, norm, act)

    def describe(content: Content, cell: str) -> str:
        return edge.describe_cell(edges(content, cell))

    return Encoding(decide, edges, build, describe)


ENCODINGS: dict[str, Encoding] = {
    "edge": _of_edges(edge.decide_cell, edge.edges_of),
    "hierarchical": Encoding(
        hierarchical.decide_cell,
        hierarchical.edges_of,
        hierarchical.build_cell,
        hierarchical.describe_cell_of_motifs,
    ),
    "graph": _of_edges(graph.decide_cell, graph.edges_of),
}
