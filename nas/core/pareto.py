"""Several objectives: who dominates whom, fronts and crowding. Losses throughout: less is better, inf is a failure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

Losses = tuple[float, ...]
"""One loss for each objective."""


def dominates(first: Losses, second: Losses) -> bool:
    """Whether `first` is as good in every objective and better in one."""
    return first != second and all(a <= b for a, b in zip(first, second, strict=True))


def non_dominated_sort(losses: Sequence[Losses]) -> list[list[int]]:
    """The indices of the points in fronts: those whom nobody dominates, those whom only these dominate, and so on.

    Equal points share a front; within a front they are in lexicographic order of their losses, then by index.

    Efficient non-dominated sort with binary search (Zhang, Tian, Cheng & Jin 2015, algorithm 3): in lexicographic
    order nobody is dominated by a later one, and who is dominated by a member of a front is dominated by members
    of all the fronts before it.
    """
    fronts: list[list[int]] = []
    for index in sorted(range(len(losses)), key=lambda i: (losses[i], i)):

        def is_free(front: list[int], index: int = index) -> bool:
            return not any(dominates(losses[member], losses[index]) for member in reversed(front))

        place = bisect_left(fronts, True, key=is_free)
        if place == len(fronts):
            fronts.append([])
        fronts[place].append(index)
    return fronts


def pareto_front(losses: Sequence[Losses]) -> list[int]:
    """The indices of the points that no other dominates, in lexicographic order of their losses; failures never."""
    front: list[int] = []
    for index in sorted(range(len(losses)), key=lambda i: (losses[i], i)):
        point = losses[index]
        if float("inf") not in point and not any(dominates(losses[member], point) for member in front):
            front.append(index)
    return front


def ranking(losses: Sequence[Losses]) -> list[int]:
    """The indices from the best on: by front, within one by the first loss, then the others, then the index."""
    return [index for front in non_dominated_sort(losses) for index in front]


def crowding_distances(losses: Sequence[Losses]) -> list[float]:
    """How alone each point of one front is (Deb, Pratap, Agarwal & Meyarivan 2002, section III-B).

    The sum over the objectives of the distance between its two neighbours, in units of the front's extent in
    that objective; infinite for the two at an objective's ends. Finite losses only.
    """
    distances = [0.0] * len(losses)
    for objective in zip(*losses, strict=True):
        order = sorted(range(len(losses)), key=lambda i: objective[i])
        lowest, highest = objective[order[0]], objective[order[-1]]
        distances[order[0]] = distances[order[-1]] = float("inf")
        if lowest == highest:
            continue
        for before, index, after in zip(order, order[1:], order[2:], strict=False):
            distances[index] += (objective[after] - objective[before]) / (highest - lowest)
    return distances


def most_spread(losses: Sequence[Losses], count: int) -> list[int]:
    """The indices of `count` points of one front that show its whole extent, in their order.

    The most crowded leaves, again and again: dropping all but the least crowded at once would empty whole regions.
    """
    left = list(range(len(losses)))
    while len(left) > count:
        distances = crowding_distances([losses[index] for index in left])
        # among equals the later goes, so that the best in the first objective stays
        left.pop(min(range(len(left)), key=lambda place: (distances[place], -place)))
    return left
