"""Which nodes the edges of a cell of AdversarialNAS join (Gao et al. 2020, figure 2)."""

from __future__ import annotations

from collections.abc import Mapping

from nas.core.space import Link, Value
from search_spaces.operations.names import NONE

# the features of earlier cells, which have no decision, arrive between edge 4 and what it comes from
_UP = {
    "up0": ("input", "large 1"),
    "up1": ("input", "large 2"),
    "edge0": ("large 1", "feature"),
    "edge1": ("large 2", "feature"),
    "edge2": ("large 1", "output"),
    "edge3": ("large 2", "output"),
    "edge4": ("feature", "output"),
}
_DOWN = {
    "edge0": ("input", "node 1"),
    "edge1": ("input", "node 2"),
    "edge2": ("input", "node 3"),
    "edge3": ("node 1", "node 2"),
    "edge4": ("node 1", "node 3"),
    "down0": ("node 2", "output"),
    "down1": ("node 3", "output"),
}


def draw_cell(decided: Mapping[str, Value]) -> list[Link]:
    """The links of a cell on paths from its input to its output, of what its edges hold; see nas.core.space.Drawable.

    None where no path leads there, as where nothing is held at all.
    """
    ends = _UP if "up0" in decided else _DOWN
    held = {edge: (*ends[edge], str(value)) for edge, value in decided.items() if edge in ends and value != NONE}
    links = list(held.values())
    while True:
        reached = {"input"} | {target for _, target, _ in links}
        leading = {"output"} | {source for source, _, _ in links}
        kept = [link for link in links if link[0] in reached and link[1] in leading]
        if len(kept) == len(links):
            return links
        links = kept
