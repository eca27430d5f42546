"""The edge encoding of cells, as in NASNet, AmoebaNet and DARTS: each node picks its inputs and operations.

Node 0 is the cell's input. Every further node sums two edges, each an operation applied to an earlier node.
The first edge of a node always holds something, the second may hold ``none``: so every node is reached from the
input, whatever is drawn. The cell's output is the sum of the nodes that no edge leaves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.core.space import Value
from search_spaces.choices import Asker

if TYPE_CHECKING:
    from torch import nn

OPERATION_NAMES = (
    "skip",
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
NODES = (1, 2, 3)
EDGES_A_NODE = 2


@dataclass(frozen=True)
class Edge:
    """An operation from one node to a later one; nodes count from 0, the input."""

    source: int
    target: int
    operation: str


def decide_cell(ask: Asker) -> None:
    """Ask for the number of nodes, and for every node's inputs and operations."""
    nodes = ask.structure("nodes", NODES, ordered=True, usual=1)
    for node in range(1, nodes + 1):
        here = ask.within(f"node{node}")
        for slot in range(EDGES_A_NODE):
            here.input(f"input{slot}", node)
            if slot == 0:
                here.operation("operation0", OPERATION_NAMES, usual="conv_3x3")
            else:  # a residual connection
                here.operation(f"operation{slot}", ("none", *OPERATION_NAMES), usual="skip")


def edges_of(content: Mapping[str, Value], cell: str) -> list[Edge]:
    """The edges that hold an operation, of the cell that was decided within `cell`."""
    edges = []
    for node in range(1, int(content[f"{cell}.nodes"]) + 1):
        for slot in range(EDGES_A_NODE):
            operation = str(content[f"{cell}.node{node}.operation{slot}"])
            if operation != "none":
                edges.append(Edge(int(content[f"{cell}.node{node}.input{slot}"]), node, operation))
    return edges


def build_cell(edges: list[Edge], channels: int, norm: str, act: str) -> nn.Module:
    """The cell as a module: (N, channels, H, W) to the same shape."""
    from search_spaces.cells.modules import Cell, Node
    from search_spaces.operations.layers import OPERATIONS

    last = max(edge.target for edge in edges)
    nodes: list[nn.Module] = []
    for target in range(1, last + 1):
        arriving = [edge for edge in edges if edge.target == target]
        nodes.append(
            Node(
                tuple(edge.source for edge in arriving),
                [OPERATIONS[edge.operation](channels, norm, act) for edge in arriving],
            )
        )
    left = {edge.source for edge in edges}
    return Cell(nodes, tuple(node for node in range(1, last + 1) if node not in left))


def describe_cell(edges: list[Edge]) -> str:
    """The cell in a few words: ``0-conv_3x3-1 0-skip-2``."""
    return " ".join(f"{edge.source}-{edge.operation}-{edge.target}" for edge in edges)
