"""The graph encoding of cells: topologies that grow as in NEAT (Stanley & Miikkulainen 2002).

A cell begins as one connection from its input, at place 0, to its output, at place 1. A connection may be **split**:
a new node is put half way between its ends, two new connections lead there and on, and the old one is kept or
disabled (NEAT's add-node mutation). Any two nodes that no split has joined may be **connected**, from the lower place
to the higher (add-connection). Nodes sum what arrives at them.

A gene's innovation number is its site, ``0-0.5``: a name that follows from the structure alone. In the paper a global
counter numbers the innovations of a generation as they happen; here the same split has the same name everywhere, at
any time and in any process, and nothing is counted. What is lost is the age of a gene: excess genes cannot be told
from disjoint ones, to which the paper gives the same weight in all its experiments.

A place is also an order, so no genotype, and no crossover of two, has a cycle; and a path from input to output is
there by construction. Connections are split to a depth of 3 (at most 7 nodes between the ends), and the nodes of the
last depth have no connections but those of their splits: a cell has at most 35 decisions, 2.6e18 graphs.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from nas.core.space import Value
from search_spaces.cells.edge import Edge
from search_spaces.choices import Asker, select_within
from search_spaces.operations.names import SKIP

DEPTH = 3


def decide_cell(ask: Asker, operations: tuple[str, ...]) -> None:
    """Ask for splits and connections; usually there is nothing but one convolution, the minimal structure."""
    nodes = {0.0: 0, 1.0: 0}  # places, and how many splits deep
    joined: set[tuple[float, float]] = set()

    def connection(source: float, target: float, depth: int) -> None:
        joined.add((source, target))
        here = ask.within(f"{source:g}-{target:g}")
        split = depth < DEPTH and here.structure("split", (False, True), usual=False)
        if not split or here.structure("kept", (False, True), usual=False):
            here.operation("operation", operations, usual=SKIP if split else "conv_3x3")
        if split:
            middle = (source + target) / 2
            nodes[middle] = depth + 1
            connection(source, middle, depth + 1)
            connection(middle, target, depth + 1)

    connection(0.0, 1.0, 0)
    for source, target in itertools.combinations(sorted(nodes), 2):
        if (source, target) in joined or DEPTH in (nodes[source], nodes[target]):
            continue
        here = ask.within(f"{source:g}-{target:g}")
        if here.structure("connected", (False, True), usual=False):
            here.operation("operation", operations, usual=SKIP)


def list_edges(content: Mapping[str, Value], cell: str) -> list[Edge]:
    """The edges of the cell, nodes numbered in the order of their places."""
    held = {}
    for site, value in select_within(content, cell).items():
        connection, _, decision = site.rpartition(".")
        if decision == "operation":
            source, target = map(float, connection.split("-"))
            held[source, target] = str(value)
    places = sorted({place for pair in held for place in pair})
    return [Edge(places.index(i), places.index(j), operation) for (i, j), operation in sorted(held.items())]
