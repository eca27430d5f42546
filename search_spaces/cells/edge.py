"""The edge encoding of cells, as in NASNet, AmoebaNet and DARTS: each node picks its inputs and operations.

Node 0 is the cell's input. Every further node sums two edges, each an operation applied to an earlier node.
The first edge of a node always holds something, the second may hold ``none``: so every node is reached from the
input, whatever is drawn. The cell's output is the sum of the nodes that no edge leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.core.space import Link, Value
from search_spaces.choices import Asker
from search_spaces.operations.names import NONE, SKIP

if TYPE_CHECKING:
    from torch import nn

CELL_OPERATIONS = (
    SKIP,
    "conv_1x1",
    "conv_3x3",
    "conv_5x5",
    "separable_3x3",
    "separable_5x5",
    "dilated_3x3",
    "dilated_5x5",
    "average_pool_3x3",
    "max_pool_3x3",
)
"""What an edge may hold here and in the graph encoding, unless a space offers more."""
NODES = (1, 2, 3)


@dataclass(frozen=True)
class Edge:
    """An operation from one node to a later one; nodes count from 0, the input."""

    source: int
    target: int
    operation: str


def name_nodes(cell: str) -> str:
    """The site of the number of nodes of the cell that was decided within `cell`."""
    return f"{cell}.nodes"


def name_slots(cell: str, node: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """For each of a node's two edges the sites of its input and of its operation."""
    first, second = ((f"{cell}.node{node}.input{slot}", f"{cell}.node{node}.operation{slot}") for slot in (0, 1))
    return first, second


def decide_cell(ask: Asker, operations: tuple[str, ...]) -> None:
    """Ask for the number of nodes, and for every node's inputs and operations."""
    nodes = ask.structure("nodes", NODES, ordered=True, usual=1)
    for node in range(1, nodes + 1):
        here = ask.within(f"node{node}")
        here.input("input0", node)
        here.operation("operation0", operations, usual="conv_3x3")
        here.input("input1", node)
        here.operation("operation1", (NONE, *operations), usual=SKIP)  # a residual connection


def list_edges(content: Mapping[str, Value], cell: str) -> list[Edge]:
    """The edges that hold an operation, of the cell that was decided within `cell`."""
    edges = []
    for node in range(1, int(content[name_nodes(cell)]) + 1):
        for source, operation in name_slots(cell, node):
            if content[operation] != NONE:
                edges.append(Edge(int(content[source]), node, str(content[operation])))
    return edges


def build_nodes(edges: Sequence[Edge], build: Callable[[str], nn.Module]) -> list[nn.Module]:
    """The modules of the nodes from the first after the input to the last; `build` makes that of an operation."""
    from search_spaces.cells.modules import Node

    nodes: list[nn.Module] = []
    for target in range(1, max(edge.target for edge in edges) + 1):
        arriving = [edge for edge in edges if edge.target == target]
        nodes.append(Node(tuple(edge.source for edge in arriving), [build(edge.operation) for edge in arriving]))
    return nodes


def build_cell(edges: list[Edge], channels: int, norm: str, act: str, dimensions: int = 2) -> nn.Module:
    """The cell as a module: (N, channels, H, W), or of one dimension (N, channels, T), to the same shape."""
    from search_spaces.cells.modules import Cell
    from search_spaces.operations.layers import build_operation

    nodes = build_nodes(edges, lambda name: build_operation(name, channels, norm, act, dimensions=dimensions))
    left = {edge.source for edge in edges}
    return Cell(nodes, tuple(node for node in range(1, len(nodes) + 1) if node not in left))


def list_links(edges: Sequence[Edge]) -> list[Link]:
    """The cell as a graph with names; see nas.core.space.Drawable."""
    ends = {edge.target for edge in edges} - {edge.source for edge in edges}
    names = {0: "input"} | {edge.target: f"node {edge.target}" for edge in edges}
    joined: list[Link] = [(names[end], "output", "") for end in sorted(ends)]
    if len(ends) == 1:
        names[min(ends)], joined = "output", []
    return [*((names[edge.source], names[edge.target], edge.operation) for edge in edges), *joined]


def describe_cell(edges: list[Edge]) -> str:
    """The cell in a few words: ``0-conv_3x3-1 0-skip-2``."""
    return " ".join(f"{edge.source}-{edge.operation}-{edge.target}" for edge in edges)
