"""NSGA-II with DEAP's operators: a population spread along the front of several objectives."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.space import Evolvable, Generator, SearchSpace, generator_for, sample
from nas.core.strategy import Strategy
from nas.core.trial import Proposal, Trial
from nas.strategies.novelty import Seen

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
        if not isinstance(space, Evolvable):
            raise UserError("--strategy", "deap-nsga2", "spaces that can mutate a genotype")
        if population is None:
            population = min(100, max(8, trials // 10))
        if population < _FEWEST:
            raise UserError("--set population", population, f"{_FEWEST} or more")
        for name, probability in (("crossover", crossover), ("usual", usual)):
            if not 0 <= probability <= 1:
                raise UserError(f"--set {name}", probability, "0 to 1")
        from deap import tools

        self._tools: Any = tools
        self._space, self._evolvable, self._seed = space, space, seed
        self._population_size, self._crossover, self._usual = population, crossover, usual
        self._population: list[Individual] = []
        self._hall_of_fame: Any = tools.ParetoFront(similar=lambda first, second: True)  # of equals the first
        self._asked = 0
        self._seen = Seen(space)

    def ask(self, number: int) -> Proposal | None:
        """A random genotype while the first population is made, then a child of two tournaments' winners."""
        generator = generator_for(self._seed, number)
        initial = self._asked < self._population_size or len(self._population) < _FEWEST

        def draw() -> Proposal:
            if initial:
                usual = 1.0 if self._usual and self._asked == 0 else self._usual
                return Proposal(sample(self._space, generator, usual), origin="random")
            return self._child(generator)

        with _global_random(generator):
            proposal = self._seen.first_new(draw) or self._further(generator)
        if proposal is not None:
            self._asked += 1
            self._seen.add(proposal.genotype)
        return proposal

    def _child(self, generator: Generator) -> Proposal:
        first, second = self._tools.selTournamentDCD(self._population, _FEWEST)[:2]  # of the two halves of a shuffle
        if second.fitness.dominates(first.fitness):
            first, second = second, first
        if generator.random() >= self._crossover:
            child, change = self._evolvable.mutate(first.genotype, generator)
            return Proposal(child, (first.number,), f"mutation: {change}")
        mixed = self._evolvable.crossover(first.genotype, second.genotype, generator)
        child, change = self._evolvable.mutate(mixed, generator)
        return Proposal(child, (first.number, second.number), f"crossover and mutation: {change}")

    def _further(self, generator: Generator) -> Proposal | None:
        """Where all children near by are known: mutate on from a member until something new is met."""
        if not self._population:
            return None
        member = self._population[int(generator.integers(len(self._population)))]
        genotype, steps = member.genotype, 0

        def step() -> Proposal:
            nonlocal genotype, steps
            genotype, _ = self._evolvable.mutate(genotype, generator)
            steps += 1
            return Proposal(genotype, (member.number,), f"{steps} mutations")

        return self._seen.first_new(step)

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
        return [individual.number for individual in self._hall_of_fame]

    def recommend(self) -> int | None:
        """The hall of fame's best in the first objective."""
        return next(iter(self.front), None)


class Individual:
    """A trial as DEAP sees it: something with a fitness."""

    def __init__(self, trial: Trial) -> None:
        self.number: int = trial.number
        self.genotype: Genotype = trial.genotype
        self.fitness: Fitness = _minimised(len(trial.losses))(trial.losses)


@functools.cache
def _minimised(objectives: int) -> type[Fitness]:
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
