"""Which decisions mattered: the share of the differences in score that goes with each decision alone.

The share is that of a one-way analysis of variance (eta squared) on the ranks of the scores, so that a few bad trials
do not decide it: what lies between the means of a decision's values, of all that there is. Chance gives a share as
well, the more so the more values there are; it is measured by shuffling the scores, and taken away. The strongest share
that any decision has in 95 of 100 shufflings is what one must exceed to be told from chance.

A decision that arises in some trials only is judged by those, and its share is of the differences among all trials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nas.core.job import TrainPortion, TrainRung
from nas.core.space import Value
from nas.core.trial import Trial
from nas.report.facts import Facts

LEAST_TRIALS = 12
METHOD = (
    "The share of a decision is that of a one-way analysis of variance (eta squared) on the ranks of the scores: how "
    "far the means of its values lie apart, of all differences there are. What shuffled scores give is taken away, and "
    "a share counts as more than chance if no decision at all reaches it in 95 of 100 shufflings. Each decision is "
    "looked at alone. Strategies try good values together, so a decision can owe its share to another that comes with "
    "it: this is correlation, not cause. Only candidates that were trained to their end are counted, and no finals."
)
"""How importance is measured, for who reads of it."""
_SHUFFLES = 400
_LEAST_OF_A_DECISION = 6


@dataclass(frozen=True)
class ValueScores:
    """What the trials with one value of a decision have scored."""

    value: str
    scores: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean of their scores."""
        return float(np.mean(self.scores))

    @property
    def spread(self) -> float | None:
        """The standard deviation of their scores; None of a single one."""
        return float(np.std(self.scores, ddof=1)) if len(self.scores) > 1 else None


@dataclass(frozen=True)
class Importance:
    """How much a decision mattered.

    Attributes:
        share: of the differences in rank, beyond what chance gives; 0 or more.
        beyond_chance: whether that is more than the strongest of all decisions has by chance in 95 of 100 cases.
        values: what each value did, the best mean first.
    """

    site: str
    share: float
    beyond_chance: bool
    trials: int
    values: tuple[ValueScores, ...]


def list_comparable(facts: Facts) -> list[Trial]:
    """The trials whose scores say something of their decisions: candidates that were trained alike to their end."""
    own = [t for t in facts.ranked if t.job.counted and not isinstance(t.job, (TrainPortion, TrainRung))]
    return sorted((trial for trial in own if not trial.provisional), key=lambda trial: trial.number)


def measure_importance(
    decisions: Sequence[Mapping[str, Value]], losses: Sequence[float], scores: Sequence[float], seed: int = 0
) -> list[Importance]:
    """Measure how much each decision that was ever decided otherwise mattered; the most important first.

    Args:
        decisions: of each trial.
        losses: of each trial, less is better; ranks are theirs.
        scores: what is said of each value.
    """
    ranks = _rank(losses)
    ranks -= ranks.mean()
    total = float(ranks @ ranks)
    generator = np.random.default_rng(seed)
    shuffled = np.array([generator.permutation(ranks) for _ in range(_SHUFFLES)]).T
    found, strongest = [], np.zeros(_SHUFFLES)
    for site in sorted({site for decided in decisions for site in decided}):
        own = [number for number, decided in enumerate(decisions) if site in decided]
        values = [decisions[number][site] for number in own]
        levels = sorted(set(values), key=lambda value: (str(type(value)), value))
        if len(levels) < 2 or len(own) < _LEAST_OF_A_DECISION or total == 0:
            continue
        indicators = np.array([[value == level for value in values] for level in levels], dtype=float)
        share = _share_between(indicators, ranks[own][:, None])[0] / total
        by_chance = _share_between(indicators, shuffled[own]) / total
        strongest = np.maximum(strongest, by_chance - by_chance.mean())
        by_value = []
        for row in indicators.astype(bool):
            having = [number for number, has in zip(own, row, strict=True) if has]
            held = ValueScores(str(decisions[having[0]][site]), tuple(scores[number] for number in having))
            by_value.append((float(np.mean([losses[number] for number in having])), held))
        by_value.sort(key=lambda pair: pair[0])
        found.append((site, share - float(by_chance.mean()), len(own), tuple(held for _, held in by_value)))
    threshold = float(np.quantile(strongest, 0.95))
    made = [Importance(site, max(0.0, share), share > threshold, n, values) for site, share, n, values in found]
    return sorted(made, key=lambda one: (-one.share, one.site))


def _rank(losses: Sequence[float]) -> np.ndarray:
    """Ranks from 1, equal ones share the mean of theirs."""
    values = np.asarray(losses, dtype=float)
    less = (values[None, :] < values[:, None]).sum(1)
    equal = (values[None, :] == values[:, None]).sum(1)
    ranks: np.ndarray = less + (equal + 1) / 2
    return ranks


def _share_between(indicators: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """The sum of squares between groups (V, N) of columns of ranks (N, K), around the mean of each column."""
    centred = ranks - ranks.mean(0)
    sums = indicators @ centred
    between: np.ndarray = (sums**2 / indicators.sum(1)[:, None]).sum(0)
    return between
