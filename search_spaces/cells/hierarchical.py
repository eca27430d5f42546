"""The hierarchical encoding of cells: motifs of motifs (Liu, Simonyan, Vinyals, Fernando & Kavukcuoglu 2018).

Level 1 are primitive operations. A motif of level 2 is a graph of a few nodes; each pair of its nodes, earlier to
later, holds a primitive or ``none``. The cell is the one motif of level 3: each pair of its nodes holds a motif of
level 2 or ``none``. The same motif may be used many times, each time with weights of its own.

The primitives are the paper's. Its motifs are 6 of 4 nodes each and its cell has 5 nodes (46 decisions); ours are
3 of 4 and a cell of 4 (24 decisions), so that a stage trains in seconds on a CPU. Nodes sum what arrives at them;
the paper concatenates it along the channels and brings their number down again by a 1x1 convolution.

Not every genotype has a path through each motif. What does not lie on a path from the first node to the last is left
out; a motif without a path acts as ``none``; a cell without a path is the identity.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from nas.core.space import Value
from search_spaces.cells.edge import Edge, build_nodes, describe_cell
from search_spaces.choices import Asker
from search_spaces.operations.names import NONE, SKIP

if TYPE_CHECKING:
    from torch import nn

PRIMITIVES = (SKIP, "conv_1x1", "depthwise_3x3", "separable_3x3", "average_pool_3x3", "max_pool_3x3")
MOTIFS = 3
MOTIF_NODES = 4
CELL_NODES = 4


def decide_cell(ask: Asker, operations: tuple[str, ...]) -> None:
    """Ask what every edge of every motif holds; usually each is a chain of identities, the paper's trivial motif."""
    for motif in range(MOTIFS):
        here = ask.within("level2").within(f"motif{motif}", level=2)
        for source, target in _pairs(MOTIF_NODES):
            usual = SKIP if target == source + 1 else NONE
            here.operation(f"edge_{source}_{target}", (NONE, *operations), usual=usual)
    here, motifs = ask.within("level3", level=3), [f"motif{motif}" for motif in range(MOTIFS)]
    for source, target in _pairs(CELL_NODES):
        usual = motifs[source % MOTIFS] if target == source + 1 else NONE
        here.operation(f"edge_{source}_{target}", (NONE, *motifs), usual=usual)


def _pairs(nodes: int) -> list[tuple[int, int]]:
    return list(itertools.combinations(range(nodes), 2))


def list_motifs(content: Mapping[str, Value], cell: str) -> tuple[list[Edge], dict[str, list[Edge]]]:
    """The edges of the cell that lie on a path, and those of the motifs that they hold; both empty without a path."""
    motifs = {}
    for motif in range(MOTIFS):
        alive = _find_edges_on_paths(content, f"{cell}.level2.motif{motif}", MOTIF_NODES, lambda held: True)
        motifs[f"motif{motif}"] = alive
    edges = _find_edges_on_paths(content, f"{cell}.level3", CELL_NODES, lambda held: bool(motifs[held]))
    used = {edge.operation for edge in edges}
    return edges, {name: alive for name, alive in motifs.items() if name in used}


def _find_edges_on_paths(
    content: Mapping[str, Value], motif: str, nodes: int, passes: Callable[[str], bool]
) -> list[Edge]:
    """The edges on paths from the first node to the last, nodes counted anew; those that pass nothing are none."""
    held = {(i, j): str(content[f"{motif}.edge_{i}_{j}"]) for i, j in _pairs(nodes)}
    held = {pair: operation for pair, operation in held.items() if operation != NONE and passes(operation)}
    reached, reaching = {0}, {nodes - 1}
    for i, j in sorted(held):
        reached |= {j} if i in reached else set()
    for i, j in sorted(held, reverse=True):
        reaching |= {i} if j in reaching else set()
    alive = sorted(reached & reaching)
    if nodes - 1 not in reached:
        return []
    return [Edge(alive.index(i), alive.index(j), held[i, j]) for i, j in held if i in alive and j in alive]


def list_edges(content: Mapping[str, Value], cell: str) -> list[Edge]:
    """The cell without its hierarchy: every use of a motif written out, nodes in topological order."""
    outer, motifs = list_motifs(content, cell)
    if not outer:
        return [Edge(0, 1, SKIP)]
    flat: list[Edge] = []
    numbers = {0: 0}
    count = 0
    for node in range(1, _last(outer) + 1):
        arriving = [edge for edge in outer if edge.target == node]
        inner = {}
        for edge in arriving:  # a motif's first and last node are the nodes that its edge joins
            for step in range(1, _last(motifs[edge.operation])):
                inner[edge, step] = count = count + 1
        numbers[node] = count = count + 1
        for edge in arriving:
            motif = motifs[edge.operation]
            ends = {(edge, 0): numbers[edge.source], (edge, _last(motif)): numbers[node]}
            at = inner | ends
            flat += [Edge(at[edge, e.source], at[edge, e.target], e.operation) for e in motif]
    return flat


def _last(edges: list[Edge]) -> int:
    return max(edge.target for edge in edges)


def build_cell(
    content: Mapping[str, Value], cell: str, channels: int, norm: str, act: str, dimensions: int = 2
) -> nn.Module:
    """The cell as a module whose operations are modules of motifs; see search_spaces.cells.edge.build_cell."""
    from torch import nn

    from search_spaces.cells.modules import Cell
    from search_spaces.operations.layers import build_operation

    def build(name: str) -> nn.Module:
        return build_operation(name, channels, norm, act, dimensions=dimensions)

    def build_graph(edges: list[Edge], build: Callable[[str], nn.Module]) -> nn.Module:
        nodes = build_nodes(edges, build)
        return Cell(nodes, (len(nodes),))

    outer, motifs = list_motifs(content, cell)
    if not outer:
        return nn.Identity()
    return build_graph(outer, lambda motif: build_graph(motifs[motif], build))


def describe_cell_of_motifs(content: Mapping[str, Value], cell: str) -> str:
    """The cell and the motifs in it: ``0-motif1-1 (motif1: 0-conv_1x1-1)``."""
    outer, motifs = list_motifs(content, cell)
    if not outer:
        return "identity"
    inside = ", ".join(f"{name}: {describe_cell(edges)}" for name, edges in motifs.items())
    return f"{describe_cell(outer)} ({inside})"
