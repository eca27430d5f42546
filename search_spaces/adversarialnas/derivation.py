"""From a supernet's log-weights to a pair of AdversarialNAS's space (Gao et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.core.space import Value
from nas.core.supernet import Alphas, probabilities
from search_spaces.operations.names import NONE, SKIP

_EDGES_IN = {"generator": ((0, 1), (2, 3, 4)), "discriminator": ((1, 3), (2, 4))}
"""Those of a cell's edges that lead to one node, of which one has to hold something."""


def derive_operations(
    alphas: Alphas, cells: Mapping[str, Sequence[str]], max_skips: int | None
) -> tuple[dict[str, Value], int]:
    """The strongest operation of every edge, ``none`` included, and the skips of the cell that has the most.

    As in the authors' program, where every edge that leads to a node holds ``none``, the one that does so least takes
    its strongest operation; and what a discriminator's first node is asked for, it has an edge to make. In a cell with
    more than `max_skips` skips, which the authors do not count, the weakest give way to what is next but ``none``.

    Args:
        cells: the names of each half's cells.
    """
    strengths = {site: probabilities(row) for site, row in alphas.items()}
    decided = {site: max(row, key=row.__getitem__) for site, row in strengths.items()}

    def take_next(site: str, *excluded: str) -> None:
        left = {name: p for name, p in strengths[site].items() if name not in excluded}
        if left:
            decided[site] = max(left, key=left.__getitem__)

    def are_empty(sites: Sequence[str]) -> bool:
        return all(decided[site] == NONE for site in sites)

    most = 0
    for half, names in cells.items():
        for cell in names:
            edges = [f"{cell}.edge{edge}" for edge in range(5)]
            skips = [site for site in edges if decided[site] == SKIP]
            most = max(most, len(skips))
            if max_skips is not None and len(skips) > max_skips:
                skips.sort(key=lambda site: strengths[site][SKIP])
                for site in skips[: len(skips) - max_skips]:
                    take_next(site, SKIP, NONE)
            for ways in _EDGES_IN[half]:
                into = [edges[way] for way in ways]
                if are_empty(into):
                    take_next(min(into, key=lambda site: strengths[site][NONE]), NONE)
            first, *_, third, fourth = edges
            if half == "discriminator" and decided[first] == NONE and not are_empty((third, fourth)):
                take_next(first, NONE)
    return dict(decided), most
