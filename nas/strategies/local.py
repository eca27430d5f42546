"""Local search: walk to the first neighbour that is better; start again where none is."""

from __future__ import annotations

from typing import Annotated

from nas.core.space import Generator, SearchSpace, generator_for
from nas.core.trial import Proposal, Trial
from nas.strategies.mutation import propose_mutant, propose_random, propose_steps
from nas.strategies.novelty import ProposesNew, Seen
from nas.strategies.option_checks import require_evolvable, require_probability

_DRAWS = 200  # a neighbour of a hundred is missed by as many draws with probability .13, one of thirty with .001


class Local(ProposesNew):
    """Local search by first improvement with restarts (White, Nolen & Savani 2021; Den Ottelander et al. 2021).

    From a random start, neighbours (one mutation away) are evaluated in random order; the first that is better
    becomes the centre. Once no neighbour is left that is new, the centre is a local optimum and the next climb
    starts from another random genotype. A neighbour known from an earlier climb is not evaluated again: it becomes
    the centre at once if it is better.

    Where a space says what is usual, the first climb starts from the usual genotype and later ones take each
    decision from it with probability `usual`; ``--set usual=0`` starts uniformly at random, as the papers do. Then
    every second neighbour is a step of an ordered decision, such as a rate or a width, to the next value, as long as
    there are any: few trials are enough to find the size of things. ``--set steps=false`` draws mutations alone.
    """

    descends = True
    begins_with_usual = True
    learns_from_others = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        usual: Annotated[float, "probability that a decision of a start is the usual one"] = 0.75,
        steps: Annotated[bool, "every second neighbour is a step of a decision with an order and a usual value"] = True,
    ) -> None:
        require_probability(usual=usual)
        self._space, self._seed, self._usual = require_evolvable(space, "local"), seed, usual
        self._steps = steps
        self._seen = Seen(space)
        self._climb = 0
        self._climb_of: dict[int, int] = {}
        self._told: dict[str, Trial] = {}  # by genotype
        self._centre: Trial | None = None

    def ask(self, number: int) -> Proposal | None:
        """A new neighbour of the centre; a new start where there is none, or while the last one runs."""
        generator = generator_for(self._seed, number)
        proposal = self._propose_step(generator) if number % 2 else None
        proposal = proposal or self._propose_neighbour(generator)
        if proposal is None:
            if self._centre is not None:
                self._climb, self._centre = self._climb + 1, None
            first = self._seen.count == 0
            proposal = self._seen.first_new(lambda: propose_random(self._space, generator, self._usual, first=first))
        self._climb_of[number] = self._climb
        return self._seen.remember(proposal)

    def _propose_step(self, generator: Generator) -> Proposal | None:
        """A new neighbour of the centre that is a step away; None where there is none."""
        if self._centre is None or not self._steps:
            return None
        new = [step for step in propose_steps(self._space, self._centre) if step.genotype not in self._seen]
        return new[int(generator.integers(len(new)))] if new else None

    def _propose_neighbour(self, generator: Generator) -> Proposal | None:
        """A new neighbour of the centre, which itself moves to known ones that are better; None where none is new."""
        draws = 0
        while self._centre is not None and draws < _DRAWS:
            draws += 1
            proposal = propose_mutant(self._space, self._centre, generator)
            if proposal.genotype not in self._seen:
                return proposal
            known = self._told.get(proposal.genotype.text)
            if known is not None and known.losses[0] < self._centre.losses[0]:
                self._centre, draws = known, 0
        return None

    def tell(self, trial: Trial) -> None:
        """The trial becomes the centre of its climb if it is better than it."""
        super().tell(trial)
        self._told[trial.genotype.text] = trial
        loss = trial.losses[0]
        if self._climb_of.get(trial.number, 0) != self._climb or loss == float("inf"):
            return
        if self._centre is None or loss < self._centre.losses[0]:
            self._centre = trial
