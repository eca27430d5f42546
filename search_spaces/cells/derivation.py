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
    target: int
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
    candidates = _list_candidates(allowed, cell, alphas)
    kept = _choose_edges(allowed, cell, candidates)
    skips = _list_skips(kept)
    most = len(skips)
    fixed: set[_Candidate] = set()  # skips that nothing can replace
    while max_skips is not None and len(skips) > max_skips:
        surplus = [skip for skip in skips if skip not in fixed]
        if not surplus:
            break
        weakest = min(surplus, key=lambda skip: skip.strength)
        others = [candidate for candidate in candidates if candidate != weakest]
        try:
            kept = _choose_edges(allowed, cell, others)
            candidates, skips = others, _list_skips(kept)
        except LookupError:
            fixed.add(weakest)
    decided: dict[str, Value] = {}
    for target, edges in enumerate(kept, start=1):
        (first_input, first), (second_input, second) = name_slots(cell, target)
        decided |= {first_input: edges[0].source, first: edges[0].operation}
        alone = len(edges) == 1
        decided[second_input] = allowed[second_input][0] if alone else edges[1].source
        decided[second] = NONE if alone else edges[1].operation
    return decided, most


def _list_candidates(allowed: Allowed, cell: str, alphas: Alphas) -> list[_Candidate]:
    found = []
    for (source, target), operations in relax_edges(allowed, cell).items():
        into = alphas.get(name_node(cell, target))
        share = 1.0 if into is None else probabilities(into)[str(source)]
        weights = probabilities(alphas[name_edge(cell, source, target)])
        found += [_Candidate(share * weights[name], source, target, name) for name in operations if name != NONE]
    return found


def _choose_edges(allowed: Allowed, cell: str, candidates: list[_Candidate]) -> list[tuple[_Candidate, ...]]:
    """Every node's two edges, or the first alone where the second holds nothing.

    Raises:
        LookupError: nothing that the space allows is left for a node.
    """
    kept = []
    for target in range(1, _count_nodes(allowed, cell) + 1):
        slots = name_slots(cell, target)
        here = [candidate for candidate in candidates if candidate.target == target]
        first, second = (
            [one for one in here if one.source in allowed[inputs] and one.operation in allowed[names]]
            for inputs, names in slots
        )
        every: list[tuple[_Candidate, ...]] = [(one, other) for one in first for other in second]
        distinct = [pair for pair in every if pair[0].source != pair[1].source]
        alone: list[tuple[_Candidate, ...]] = [(one,) for one in first]
        choices = distinct or (alone if NONE in allowed[slots[1][1]] else every)
        if not choices:
            raise LookupError(f"{cell}, node {target}")
        kept.append(max(choices, key=lambda edges: (sum(edge.strength for edge in edges), edges[0].strength)))
    return kept


def _list_skips(kept: list[tuple[_Candidate, ...]]) -> list[_Candidate]:
    return [edge for edges in kept for edge in edges if edge.operation == SKIP]
