"""One genotype that is known already: what ``nas train`` trains in full."""

from __future__ import annotations

from collections.abc import Callable

from nas.core.genotype import Genotype
from nas.core.space import SearchSpace
from nas.core.strategy import RecommendsBestSeen, Strategy
from nas.core.trial import Proposal


class FixedGenotype(RecommendsBestSeen):
    """Proposes one genotype, once."""

    multi_objective = True  # it compares nothing

    def __init__(self, genotype: Genotype) -> None:
        self._genotype = genotype

    def ask(self, number: int) -> Proposal | None:
        """The genotype, as trial 0; there is nothing else."""
        return Proposal(self._genotype, origin="given") if number == 0 else None


def make_fixed_genotype(genotype: Genotype) -> Callable[..., Strategy]:
    """Make what makes the strategy, as a search makes any."""

    def make(space: SearchSpace, *, seed: int, trials: int) -> Strategy:
        return FixedGenotype(genotype)

    return make
