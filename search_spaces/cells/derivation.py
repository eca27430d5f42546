"""From a supernet's log-weights to a cell of the edge encoding (Liu, Simonyan & Yang 2019, section 2.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nas.core.space import Value
from nas.core.supernet import Alphas, probabilities
from search_spaces.cells.edge import Edge, name_nodes, name_slots
from search_spaces.operations.names import NONE, OPERATIONS, SKIP

Allowed = Mapping[str, tuple[Value, ...]]
"""What a space allows at every site, restrictions included."""


def name_edge(cell: str, source: int, target: int) -> str:
    """The key of an edge's operations among the alphas."""
    return f"{cell}.{source}-{target}"


def name_node(cell: str, target: int) -> str:
    """The key of a node's edges among the alphas, by their sources (PC-DARTS's edge normalisation)."""
    return f"{cell}.{target}"


def relax_edges(allowed: Allowed, cell: str) -> dict[tuple[int, int], tuple[str, ...]]:
    """Every edge (source, target) that the space allows, and what it may hold; first of all ``none``."""
    edges = {}
    for target in range(1, _count_nodes(allowed, cell) + 1):
        slots = name_slots(cell, target)
        for source in range(target):
            either = {name for inputs, names in slots if source in allowed[inputs] for name in allowed[names]}
            operations = tuple(name for name in OPERATIONS if name in either)
            if operations:
                edges[source, target] = (NONE, *operations)
    return edges


def _count_nodes(allowed: Allowed, cell: str) -> int:
    (nodes,) = allowed[name_nodes(cell)]
    return int(nodes)


def trace_path(edges: Iterable[Edge], cell: str) -> dict[str, tuple[str, ...]]:
    """A cell as a path through its supernet; see nas.core.supernet.Path. Two edges may join the same nodes."""
    held: dict[str, tuple[str, ...]] = {}
    for edge in edges:
        name = name_edge(cell, edge.source, edge.target)
        held[name] = (*held.get(name, ()), edge.operation)
    return held


@dataclass(frozen=True)
class _Candidate:
    """An operation on an edge, and how strong it is: its probability among all of the edge, ``none`` included."""

    strength: float
    source: int
    operation: str


def derive_cell(
    allowed: Allowed, cell: str, alphas: Alphas, max_skips: int | None = None
) -> tuple[dict[str, Value], int]:
    """The decisions of the derived cell, and how many skip connections it has without the guard.

    Each node keeps the two strongest operations from distinct earlier nodes, ``none`` excluded. Node 1 has only
    the input: its second edge holds ``none``. Where restrictions forbid this, the strongest that they allow.
    While the cell has more than `max_skips` skip connections, the weakest gives way to what is next in strength.

    Args:
        allowed: what each site may be; the number of nodes is fixed.
    """
    strengths = {
        (target, candidate.source, candidate.operation): candidate
        for target in range(1, _count_nodes(allowed, cell) + 1)
        for candidate in _list_candidates(allowed, cell, target, alphas)
    }
    decided = _decide(allowed, cell, strengths)
    skips = _list_skips(decided)
    fixed: set[tuple[int, int, str]] = set()  # skips that nothing can replace
    while max_skips is not None and len(_list_skips(decided)) > max_skips:
        surplus = [skip for skip in _list_skips(decided) if skip not in fixed]
        if not surplus:
            break
        weakest = min(surplus, key=lambda skip: strengths[skip].strength)
        others = {key: candidate for key, candidate in strengths.items() if key != weakest}
        try:
            decided = _decide(allowed, cell, others)
            strengths = others
        except LookupError:
            fixed.add(weakest)
    return {site: value for node in decided.values() for site, value in node.sites.items()}, len(skips)


def _list_candidates(allowed: Allowed, cell: str, target: int, alphas: Alphas) -> list[_Candidate]:
    into = alphas.get(name_node(cell, target))
    shares = None if into is None else probabilities(into)
    found = []
    for (source, end), operations in relax_edges(allowed, cell).items():
        if end == target:
            weights = probabilities(alphas[name_edge(cell, source, target)])
            share = 1.0 if shares is None else shares[str(source)]
            found += [_Candidate(share * weights[name], source, name) for name in operations if name != NONE]
    return found


@dataclass(frozen=True)
class _Node:
    """The two slots of a node: what is kept, and the decisions that say so."""

    target: int
    kept: tuple[_Candidate, ...]
    sites: Mapping[str, Value]


def _decide(allowed: Allowed, cell: str, strengths: Mapping[tuple[int, int, str], _Candidate]) -> dict[int, _Node]:
    """Every node's two edges.

    Raises:
        LookupError: nothing that the space allows is left for a node.
    """
    nodes = {}
    for target in range(1, _count_nodes(allowed, cell) + 1):
        slots = name_slots(cell, target)
        here = [candidate for (end, _, _), candidate in strengths.items() if end == target]
        first, second = (
            [one for one in here if one.source in allowed[inputs] and one.operation in allowed[names]]
            for inputs, names in slots
        )
        _, (spare_input, spare) = slots
        every: list[tuple[_Candidate, ...]] = [(one, other) for one in first for other in second]
        distinct = [pair for pair in every if pair[0].source != pair[1].source]
        alone: list[tuple[_Candidate, ...]] = [(one,) for one in first]
        choices = distinct or (alone if NONE in allowed[spare] else every)
        if not choices:
            raise LookupError(f"{cell}, node {target}")
        kept = max(choices, key=lambda edges: (sum(edge.strength for edge in edges), edges[0].strength))
        sites: dict[str, Value] = {spare_input: allowed[spare_input][0], spare: NONE}
        for (source, operation), candidate in zip(slots, kept, strict=False):  # a second edge may hold nothing
            sites |= {source: candidate.source, operation: candidate.operation}
        nodes[target] = _Node(target, kept, sites)
    return nodes


def _list_skips(nodes: Mapping[int, _Node]) -> list[tuple[int, int, str]]:
    return [(n.target, c.source, c.operation) for n in nodes.values() for c in n.kept if c.operation == SKIP]
