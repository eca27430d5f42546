"""Whether two groups of runs differ by more than luck."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

LEVEL = 0.05
_LEAST_PAIRS = 6
"""Of fewer, even if all pairs agree, the signed-rank test gives no p below 0.05."""


@dataclass(frozen=True)
class Difference:
    """What a test says of two groups.

    Attributes:
        test: its name in full; empty where there are too few runs for any.
        p: two-sided; None where there are too few runs.
        why_not: why nothing can be said, in words; empty where it can.
    """

    test: str
    p: float | None
    why_not: str = ""


def measure_difference(first: Sequence[tuple[int, float]], second: Sequence[tuple[int, float]]) -> Difference:
    """Test whether two groups of runs, each a seed and a score, have different scores.

    Runs of the same seeds are compared in pairs (Wilcoxon's signed-rank test) if there are at least 6, else the groups
    are compared as they are (Mann-Whitney's U). Both are exact where no scores are equal.
    """
    from scipy.stats import mannwhitneyu, wilcoxon  # which takes a second

    n, m = len(first), len(second)
    mine, theirs = dict(first), dict(second)
    paired = len(mine) == n and len(theirs) == m and mine.keys() == theirs.keys()
    differing = paired and any(mine[seed] != theirs[seed] for seed in mine)
    if paired and n >= _LEAST_PAIRS and differing:
        found = wilcoxon([mine[seed] for seed in mine], [theirs[seed] for seed in mine])
        return Difference("Wilcoxon's signed-rank test, paired by seed", float(found.pvalue))
    least = 2 / math.comb(n + m, n)
    if min(n, m) < 2 or least > LEVEL:
        runs = f"{n} and {m} runs"
        return Difference(
            "", None, f"too few seeds: of {runs} even the clearest difference has p = {min(1.0, least):.2g}"
        )
    found = mannwhitneyu([score for _, score in first], [score for _, score in second], alternative="two-sided")
    return Difference("Mann-Whitney's U test", float(found.pvalue))


def adjust_for_many(values: Mapping[str, float]) -> dict[str, float]:
    """Adjust p values for there being several of them (Holm 1979)."""
    adjusted, highest = {}, 0.0
    for place, (name, p) in enumerate(sorted(values.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (len(values) - place) * p))
        adjusted[name] = highest
    return adjusted
