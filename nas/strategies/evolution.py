"""Aging evolution: a tournament's winner has a child, the oldest dies."""

from __future__ import annotations

from collections import deque
from typing import Annotated

from nas.core.errors import UserError
from nas.core.space import Evolvable, Generator, SearchSpace, generator_for, sample
from nas.core.strategy import BestSeen, Strategy
from nas.core.trial import Proposal, Trial
from nas.strategies.novelty import Seen


class Evolution(Strategy):
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
        if not isinstance(space, Evolvable):
            raise UserError("--strategy", "evolution", "spaces that can mutate a genotype")
        if population is None:
            population = min(50, max(4, trials // 4))
        if population < 1:
            raise UserError("--set population", population, "1 or more")
        if sample is None:
            sample = min(population, max(5, population // 5))
        if not 1 <= sample <= population:
            raise UserError("--set sample", sample, f"1 to the population, {population}")
        if not 0 <= usual <= 1:
            raise UserError("--set usual", usual, "0 to 1")
        self._usual = usual
        self._space, self._evolvable = space, space
        self._seed, self._population_size, self._sample_size = seed, population, sample
        self._duplicates = duplicates
        self._population: deque[Trial] = deque(maxlen=population)  # the oldest leaves at the left
        self._asked = 0
        self._seen = Seen(space)
        self._best = BestSeen()

    def ask(self, number: int) -> Proposal | None:
        """A random genotype while the first population is made, then a tournament's child."""
        generator = generator_for(self._seed, number)
        initial = self._asked < self._population_size or not self._population

        def draw() -> Proposal:
            if initial:
                usual = 1.0 if self._usual and self._asked == 0 else self._usual
                return Proposal(sample(self._space, generator, usual), origin="random")
            return self._child(generator)

        if self._duplicates:
            proposal: Proposal | None = draw()
        else:
            proposal = self._seen.first_new(draw) or self._further_child(generator)
        if proposal is not None:
            self._asked += 1
            self._seen.add(proposal.genotype)
        return proposal

    def _child(self, generator: Generator) -> Proposal:
        # with replacement: "the element stays in the population" (algorithm 1)
        drawn = generator.integers(len(self._population), size=self._sample_size)
        tournament = (self._population[int(member)] for member in drawn)
        parent = min(tournament, key=lambda trial: (trial.losses[0], trial.number))
        child, change = self._evolvable.mutate(parent.genotype, generator)
        return Proposal(child, parents=(parent.number,), origin=f"mutation: {change}")

    def _further_child(self, generator: Generator) -> Proposal | None:
        """Where all mutants near by are known: walk on from one of them until something new is met."""
        if not self._population:
            return None
        proposal = self._child(generator)
        changes = 1

        def further() -> Proposal:
            nonlocal proposal, changes
            child, _ = self._evolvable.mutate(proposal.genotype, generator)
            changes += 1
            proposal = Proposal(child, proposal.parents, f"{changes} mutations")
            return proposal

        return self._seen.first_new(further)

    def tell(self, trial: Trial) -> None:
        """The trial joins the population, and the oldest member leaves it."""
        self._population.append(trial)
        self._best.tell(trial)

    def recommend(self) -> int | None:
        """The best seen."""
        return self._best.number
