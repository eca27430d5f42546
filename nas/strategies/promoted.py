"""Any strategy, whose candidates are trained for a little, and the best of them further and further."""

from __future__ import annotations

from dataclasses import replace

from nas.core.promotion import Promotion
from nas.core.strategy import Strategy
from nas.core.trial import Proposal, Trial


class Promoted(Strategy):
    """Proposes the candidates of another strategy, each to be trained to its first rung.

    Who is promoted from there is asked of the rule by the search. The inner strategy is told of a candidate once, as
    of one that was stopped early at its first rung (or as a complete one, where that is the last); what it is worth
    further up revises that. The candidate that came furthest is recommended, and among equals the best.

    Args:
        inner: the strategy.
        rule: how candidates begin.
    """

    def __init__(self, inner: Strategy, rule: Promotion) -> None:
        self._inner, self._rule = inner, rule
        self._begun = 0
        self._told: dict[int, Trial] = {}  # candidates as they are known to the strategy, by number
        self._best: Trial | None = None
        self.multi_objective, self.descends = inner.multi_objective, inner.descends
        self.begins_with_usual = inner.begins_with_usual

    def ask(self, number: int) -> Proposal | None:
        """What the strategy proposes, to be trained to its first rung."""
        proposal = self._inner.ask(number)
        if proposal is None:
            return None
        self._begun += 1
        return replace(proposal, job=self._rule.begin(self._begun - 1))

    def tell(self, trial: Trial) -> None:
        """Pass a new candidate on, or what one is worth that was promoted."""
        if trial.outcome is not None and trial.outcome.scored:
            self._best = trial if self._best is None else min(self._best, trial, key=_rank)
        before = self._told.get(trial.candidate)
        if before is None:
            self._told[trial.number] = trial
            self._inner.tell(trial)
        else:
            revised = replace(trial, number=before.number, curve={**before.curve, **trial.curve})
            self._told[before.number] = revised
            self._inner.revise(revised)

    def recommend(self) -> int | None:
        """The best that was trained to the last rung; before there is any, the best of the highest rung."""
        return None if self._best is None else self._best.number


def _rank(trial: Trial) -> tuple[bool, int, tuple[float, ...], int]:
    """What trials are compared by: how far they came, then their losses, then which was the first."""
    return trial.stopped, -trial.reached, trial.losses, trial.number
