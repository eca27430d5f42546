"""Aging evolution: a tournament's winner has a child, the oldest dies."""

from __future__ import annotations

from collections import deque
from typing import Annotated

from nas.core.space import Generator, SearchSpace, generator_for
from nas.core.trial import Proposal, Trial
from nas.strategies.mutation import propose_mutant, propose_random
from nas.strategies.novelty import ProposesNew, Seen
from nas.strategies.option_checks import require, require_at_least, require_evolvable, require_probability
from nas.strategies.tournament import select_by_tournament


class Evolution(ProposesNew):
    """Aging (regularised) evolution (Real, Aggarwal, Huang & Le 2019, algorithm 1).

    First comes a population of P random genotypes. Then S members of the population are drawn, the best of
    them is the parent, one mutation makes the child (an operation, a hidden state, or, beyond the paper, the
    network around the cells or a hyperparameter), and the oldest member dies. Members age in the order in which
    they are told, as in the paper's asynchronous workers. Failed candidates take part and win no tournament
    that has a survivor.

    P and S: Real et al. used 100 and 25 for 20,000 trials. By default P is a quarter of the trials, 4 to 50, and S
    a fifth of P but at least 5, so that short runs evolve as well.

    Where a space says what is usual, the first population starts from there, unlike the paper's: the first
    genotype is the usual one, and the others take each decision from it with probability `usual`.
    ``--set usual=0`` draws them uniformly, as the paper does.
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
        population: Annotated[int | None, "P, the members; by default a quarter of the trials, 4 to 50"] = None,
        sample: Annotated[int | None, "S, the number in a tournament; by default a fifth of P, at least 5"] = None,
        usual: Annotated[float, "probability that a decision of the first population is the usual one"] = 0.75,
        duplicates: Annotated[bool, "evaluate an architecture again that was evaluated before"] = False,
    ) -> None:
        population = min(50, max(4, trials // 4)) if population is None else population
        sample = min(population, max(5, population // 5)) if sample is None else sample
        require_at_least(1, population=population)
        require(1 <= sample <= population, "sample", sample, f"1 to the population, {population}")
        require_probability(usual=usual)
        self._space = require_evolvable(space, "evolution")
        self._seed, self._sample_size, self._usual = seed, sample, usual
        self._population_size = population
        self._population: deque[Trial] = deque(maxlen=population)  # keeps the last P
        self._seen = Seen(space, duplicates=duplicates)

    def ask(self, number: int) -> Proposal | None:
        """A random genotype while the first population is made, then a tournament's child."""
        generator = generator_for(self._seed, number)
        initial = self._seen.count < self._population_size or not self._population
        propose = self._propose_initial if initial else self._propose_child
        proposal = self._seen.first_new(lambda: propose(generator))
        if proposal is None and self._population:  # all mutants near by are known
            proposal = self._seen.walk_on(self._propose_child(generator), self._space, generator, mutations=1)
        return self._seen.remember(proposal)

    def _propose_initial(self, generator: Generator) -> Proposal:
        return propose_random(self._space, generator, self._usual, first=self._seen.count == 0)

    def _propose_child(self, generator: Generator) -> Proposal:
        # with replacement: "the element stays in the population" (algorithm 1)
        parent = select_by_tournament(self._population, self._sample_size, generator, replace=True)
        return propose_mutant(self._space, parent, generator)

    def tell(self, trial: Trial) -> None:
        """The trial joins the population, and the oldest member leaves it."""
        self._population.append(trial)
        super().tell(trial)

    def revise(self, trial: Trial) -> None:
        """The member keeps its age, and has the loss of its longer training."""
        for place, member in enumerate(self._population):
            if member.number == trial.number:
                self._population[place] = trial
