"""When two cells compute the same: a text for every cell, however it was written or encoded."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

from search_spaces.cells.edge import Edge
from search_spaces.operations.names import SKIP

_INPUT, _OUTPUT = 0, -1
_MOST_FORMS = 4_096
_FORMS: dict[Hashable, tuple[str, ...]] = {}  # by decisions: most mutants have the cells of their parents


def canonicalise_cells(
    content: Mapping[str, Any], cells: Iterable[str], list_edges: Callable[[Mapping[str, Any], str], list[Edge]]
) -> dict[str, Any]:
    """The decisions, with one entry a cell instead of its own decisions: what it computes, under the cell's name.

    Args:
        cells: the cells' names; those of which nothing is decided are left out.
        list_edges: of `content` and a cell's name, the edges; see search_spaces.cells.encodings.
    """
    rest = dict(content)
    forms = {}
    for cell in cells:
        prefix = f"{cell}."
        within = tuple([(site, rest.pop(site)) for site in content if site.startswith(prefix)])
        if within:
            key = (list_edges, cell, within)
            if key not in _FORMS:
                if len(_FORMS) >= _MOST_FORMS:
                    _FORMS.clear()
                _FORMS[key] = canonicalise_cell(list_edges(content, cell))
            forms[cell] = _FORMS[key]
    return rest | forms


def canonicalise_cell(edges: Iterable[Edge]) -> tuple[str, ...]:
    """The same for cells that compute the same; empty for the identity.

    Nodes that no edge leaves become one output, identities are contracted, and the nodes are then coloured by what
    arrives at them and what leaves them until nothing more is told apart (Weisfeiler & Leman 1968, as
    NAS-Bench-101 does). Two cells that this refinement cannot tell apart are taken to be the same.
    """
    simple = _contract_identities(_join_outputs(edges))
    nodes = {edge.source for edge in simple} | {edge.target for edge in simple}
    colours = {node: 0 if node == _INPUT else 2 if node == _OUTPUT else 1 for node in nodes}
    while True:
        arriving: dict[int, list[tuple[str, int]]] = {node: [] for node in nodes}
        leaving: dict[int, list[tuple[str, int]]] = {node: [] for node in nodes}
        for edge in simple:
            arriving[edge.target].append((edge.operation, colours[edge.source]))
            leaving[edge.source].append((edge.operation, colours[edge.target]))
        seen = {node: (colours[node], tuple(sorted(arriving[node])), tuple(sorted(leaving[node]))) for node in nodes}
        ranks = {view: rank for rank, view in enumerate(sorted(set(seen.values())))}
        if len(ranks) == len(set(colours.values())):
            # what leaves follows from what arrives, once the colours are stable
            terms = {node: "+".join(f"{operation}({colour})" for operation, colour in seen[node][1]) for node in nodes}
            return tuple(sorted(f"{colours[node]}={terms[node]}" for node in nodes if node != _INPUT))
        colours = {node: ranks[seen[node]] for node in nodes}


def _join_outputs(edges: Iterable[Edge]) -> list[Edge]:
    """Nodes that no edge leaves are summed anyway: what arrives at them may as well arrive at one node."""
    listed = list(edges)
    left = {edge.source for edge in listed}
    return [Edge(e.source, e.target if e.target in left else _OUTPUT, e.operation) for e in listed]


def _contract_identities(edges: list[Edge]) -> list[Edge]:
    """A node that only repeats another is that node; a node that is only added to another is part of its sum."""
    while True:
        for edge in edges:
            if edge.operation != SKIP:
                continue
            arriving = [e for e in edges if e.target == edge.target]
            leaving = [e for e in edges if e.source == edge.source]
            if len(arriving) == 1:
                gone, kept = edge.target, edge.source
            elif len(leaving) == 1 and edge.source != _INPUT:
                gone, kept = edge.source, edge.target
            else:
                continue
            if gone == _OUTPUT:  # then nothing but this edge leaves the other node
                gone, kept = kept, gone
            if gone == _INPUT:
                return []
            break
        else:
            return edges
        rest = [e for e in edges if e is not edge]
        edges = [
            Edge(kept if e.source == gone else e.source, kept if e.target == gone else e.target, e.operation)
            for e in rest
        ]
