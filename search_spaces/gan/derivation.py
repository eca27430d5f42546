"""From a supernet's log-weights to pairs: of the space ``gan``, and of AdversarialNAS's (Gao et al. 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nas.core.space import Value
from nas.core.supernet import Alphas, probabilities
from search_spaces.cells.derivation import NONE, SKIP, Allowed, derive_cell

CELLS = ("generator_cell", "discriminator_cell")
_WAYS_IN = {
    "generator": ((0, 1), (2, 3, 4)),
    "discriminator": ((1, 3), (2, 4)),
}
"""Of an AdversarialNAS cell's edges those that lead to one node, of which one has to hold something."""


def derive_pair(allowed: Allowed, alphas: Alphas, max_skips: int | None) -> tuple[dict[str, Value], int]:
    """The decisions of the space ``gan`` that were relaxed, and the skips of the cell that has the most without guard.

    Cells as in search_spaces.cells.derivation, of every up-sampling the strongest.

    Args:
        allowed: what each site of the base may be.
    """
    cells = [derive_cell(allowed, cell, alphas, max_skips) for cell in CELLS]
    decided: dict[str, Value] = {site: value for sites, _ in cells for site, value in sites.items()}
    for site, row in alphas.items():
        if site.endswith(".up_sampling"):
            decided[site] = max(row, key=row.__getitem__)
    return decided, max(skips for _, skips in cells)


def derive_adversarialnas(
    alphas: Alphas, cells: Mapping[str, int], max_skips: int | None
) -> tuple[dict[str, Value], int]:
    """The strongest operation of every edge, ``none`` included, and the skips of the cell that has the most.

    As in the authors' program, where every edge that leads to a node holds ``none``, the one that does so least takes
    its strongest operation; and what a discriminator's first node is asked for, it has an edge to make. In a cell with
    more than `max_skips` skips, which the authors do not count, the weakest give way to what is next but ``none``.

    Args:
        cells: how many cells each half has.
    """
    strengths = {site: probabilities(row) for site, row in alphas.items()}
    decided = {site: max(row, key=row.__getitem__) for site, row in strengths.items()}

    def replace(site: str, *excluded: str) -> None:
        left = {name: p for name, p in strengths[site].items() if name not in excluded}
        if left:
            decided[site] = max(left, key=left.__getitem__)

    def empty(sites: Sequence[str]) -> bool:
        return all(decided[site] == NONE for site in sites)

    most = 0
    for half, count in cells.items():
        for cell in range(count):
            edges = [f"{half}_stage{cell}.edge{edge}" for edge in range(5)]
            skips = [site for site in edges if decided[site] == SKIP]
            most = max(most, len(skips))
            if max_skips is not None and len(skips) > max_skips:
                skips.sort(key=lambda site: strengths[site][SKIP])
                for site in skips[: len(skips) - max_skips]:
                    replace(site, SKIP, NONE)
            for ways in _WAYS_IN[half]:
                into = [edges[way] for way in ways]
                if empty(into):
                    replace(min(into, key=lambda site: strengths[site][NONE]), NONE)
            if half == "discriminator" and decided[edges[0]] == NONE and not empty(edges[3:]):
                replace(edges[0], NONE)
    return dict(decided), most
