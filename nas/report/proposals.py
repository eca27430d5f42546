"""How what a strategy proposes has changed: the values that it favoured early and late in the run, counted."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass

from nas.core.space import Value
from nas.report.facts import Facts
from nas.report.words import name_operation

_LEAST_TRIALS = 24
_SHOWN = 8
_NO_POLICY = ("random",)


@dataclass(frozen=True)
class Shift:
    """How often the value that was favoured late was proposed in each third of the run; shares are from 0 to 1."""

    site: str
    value: str
    shares: tuple[float, float, float]


def find_shifts(facts: Facts) -> list[Shift]:
    """The decisions of which the strategy changed its mind most.

    None of few trials, or of a strategy that learns nothing.
    """
    own = [trial for trial in facts.trials if trial.job.counted and trial.job.completion == "complete"]
    if facts.run.config.strategy in _NO_POLICY or len(own) < _LEAST_TRIALS or not facts.decisions:
        return []
    edges = [len(own) * third // 3 for third in range(4)]
    thirds = [own[first:last] for first, last in itertools.pairwise(edges)]
    shifts = []
    for site in dict.fromkeys(site for trial in own for site in facts.decisions[trial.number]):
        counts: list[Counter[Value]] = []
        for third in thirds:
            arising = [facts.decisions[t.number][site] for t in third if site in facts.decisions[t.number]]
            counts.append(Counter(arising))
        if any(count.total() < len(third) / 2 for count, third in zip(counts, thirds, strict=True)):
            continue  # of what arises in some trials alone little can be said
        favoured = counts[-1].most_common(1)[0][0]
        early, middle, late = (count[favoured] / count.total() for count in counts)
        shifts.append(Shift(site, name_operation(str(favoured)), (early, middle, late)))
    shifts.sort(key=lambda shift: -(shift.shares[-1] - shift.shares[0]))
    return [shift for shift in shifts[:_SHOWN] if shift.shares[-1] - shift.shares[0] >= 0.15]
