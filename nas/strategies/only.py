"""One genotype that is known already: what ``nas train`` trains in full."""

from __future__ import annotations

from collections.abc import Callable

from nas.core.genotype import Genotype
from nas.core.space import SearchSpace
from nas.core.strategy import BestSeen, Strategy
from nas.core.trial import Proposal, Trial


class Only(Strategy):
    """Proposes one genotype, once."""

    multi_objective = True  # it compares nothing

    def __init__(self, genotype: Genotype) -> None:
        self._genotype = genotype
        self._best = BestSeen()

    def ask(self, number: int) -> Proposal | None:
        """The genotype, as trial 0; there is nothing else."""
        return Proposal(self._genotype, origin="given") if number == 0 else None

    def tell(self, trial: Trial) -> None:
        """Take notice of its end."""
        self._best.tell(trial)

    def recommend(self) -> int | None:
        """It alone, if it succeeded."""
        return self._best.number


def only(genotype: Genotype) -> Callable[..., Strategy]:
    """What makes the strategy, as a search makes any."""

    def make(space: SearchSpace, *, seed: int, trials: int) -> Strategy:
        return Only(genotype)

    return make
