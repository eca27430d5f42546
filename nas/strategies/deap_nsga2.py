"""NSGA-II with DEAP's operators: a population spread along the front of several objectives."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from nas.core.space import Generator, SearchSpace, generator_for
from nas.core.strategy import Strategy
from nas.core.trial import Proposal, Trial
from nas.strategies.mutation import propose_mutant, propose_random
from nas.strategies.novelty import Seen
from nas.strategies.option_checks import require_at_least, require_evolvable, require_probability

if TYPE_CHECKING:
    from deap.base import Fitness

_FEWEST = 4  # members that DEAP's tournament pairs off


class DeapNSGA2(Strategy):
    """NSGA-II on DEAP's operators: a front of several objectives, or the best in one.

    Deb, Pratap, Agarwal & Meyarivan 2002, of one child at a time (Durillo, Nebro, Luna & Alba 2009): two parents
    win binary tournaments by dominance, then by crowding distance (``selTournamentDCD``); with probability
    `crossover` their decisions are mixed, and then one is mutated. Each result joins the population, of which the
    P best stay: by non-dominated front, and of the last front that finds room the least crowded (``selNSGA2``).
    What no other dominates is kept in a hall of fame (``ParetoFront``) as well, whose best in the first objective is
    recommended. Failed candidates join nothing.

    P is by default a tenth of the trials, 8 to 100 (the paper's is 100, for 25,000 evaluations). Where a space says
    what is usual, the first population starts from there, as evolution's does.
    """

    multi_objective = True
    descends = True
    begins_with_usual = True
    learns_from_others = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        population: Annotated[int | None, "P, the members; by default a tenth of the trials, 8 to 100"] = None,
        crossover: Annotated[float, "probability that a child has two parents"] = 0.9,
        usual: Annotated[float, "probability that a decision of the first population is the usual one"] = 0.75,
    ) -> None:
        population = min(100, max(8, trials // 10)) if population is None else population
        require_at_least(_FEWEST, population=population)
        require_probability(crossover=crossover, usual=usual)
        from deap import tools

        self._tools: Any = tools
        self._space, self._seed = require_evolvable(space, "deap-nsga2"), seed
        self._population_size, self._crossover, self._usual = population, crossover, usual
        self._population: list[Individual] = []
        self._hall_of_fame: Any = tools.ParetoFront(similar=lambda first, second: True)  # of equals the first
        self._seen = Seen(space)

    def start_from(self, proposals: Sequence[Proposal]) -> None:
        """Count what is tried first as part of the first population."""
        for proposal in proposals:
            self._seen.add(proposal.genotype)

    def ask(self, number: int) -> Proposal | None:
        """A random genotype while the first population is made, then a child of two tournaments' winners."""
        generator = generator_for(self._seed, number)
        initial = self._seen.count < self._population_size or len(self._population) < _FEWEST
        propose = self._propose_initial if initial else self._propose_child
        with _global_random(generator):
            proposal = self._seen.first_new(lambda: propose(generator))
        if proposal is None and self._population:  # all children near by are known
            member = self._population[int(generator.integers(len(self._population)))].trial
            start = Proposal(member.genotype, (member.number,))
            proposal = self._seen.walk_on(start, self._space, generator, mutations=0)
        return self._seen.remember(proposal)

    def _propose_initial(self, generator: Generator) -> Proposal:
        return propose_random(self._space, generator, self._usual, first=self._seen.count == 0)

    def _propose_child(self, generator: Generator) -> Proposal:
        first, second = self._tools.selTournamentDCD(self._population, _FEWEST)[:2]  # of the two halves of a shuffle
        if second.fitness.dominates(first.fitness):
            first, second = second, first
        fitter, other = first.trial, second.trial
        if generator.random() >= self._crossover:
            return propose_mutant(self._space, fitter, generator)
        mixed = self._space.crossover(fitter.genotype, other.genotype, generator)
        child, change = self._space.mutate(mixed, generator)
        return Proposal(child, (fitter.number, other.number), f"crossover and mutation: {change}")

    def tell(self, trial: Trial) -> None:
        """The trial joins the population, and the worst of it leaves."""
        if float("inf") in trial.losses:  # no distance can be measured to it
            return
        individual = Individual(trial)
        with _global_random(generator_for(self._seed, trial.number, 1)):
            self._population = self._tools.selNSGA2([*self._population, individual], self._population_size)
            if not trial.stopped:  # it has its say in the population, but nothing to hand over
                self._hall_of_fame.update([individual])

    @property
    def front(self) -> list[int]:
        """The numbers of the complete trials that no other dominates, the best in the first objective first."""
        return [individual.trial.number for individual in self._hall_of_fame]

    def recommend(self) -> int | None:
        """The hall of fame's best in the first objective."""
        return next(iter(self.front), None)


class Individual:
    """A trial as DEAP sees it: something with a fitness."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.fitness: Fitness = _minimised_losses(len(trial.losses))(trial.losses)


@functools.cache
def _minimised_losses(objectives: int) -> type[Fitness]:
    from deap.base import Fitness

    return type("Losses", (Fitness,), {"weights": (-1.0,) * objectives})


@contextmanager
def _global_random(generator: Generator) -> Iterator[None]:
    """DEAP draws from Python's global generator: lend it one of ours, and give it back as it was."""
    before = random.getstate()
    random.seed(int(generator.integers(2**63)))
    try:
        yield
    finally:
        random.setstate(before)
