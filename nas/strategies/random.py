"""Random search: every choice drawn uniformly."""

from __future__ import annotations

from typing import Annotated

from nas.core.space import SearchSpace, generator_for
from nas.core.trial import Proposal
from nas.strategies.mutation import propose_random
from nas.strategies.novelty import ProposesNew, Seen


class Random(ProposesNew):
    """Random search (Bergstra & Bengio 2012; Li & Talwalkar 2019 on architectures).

    Draws each choice uniformly. The baseline that everything else must beat, and the best use of a handful of
    trials or of very many workers.
    """

    learns_from_others = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        duplicates: Annotated[bool, "evaluate an architecture again that was drawn before"] = False,
    ) -> None:
        self._space, self._seed = space, seed
        self._seen = Seen(space, duplicates=duplicates)

    def ask(self, number: int) -> Proposal | None:
        """A genotype drawn at random; None once nothing new is found."""
        generator = generator_for(self._seed, number)
        return self._seen.remember(self._seen.first_new(lambda: propose_random(self._space, generator)))
