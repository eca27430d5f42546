"""Hierarchical evolution: a population that only grows, and tournaments of a twentieth of it."""

from __future__ import annotations

import math
from typing import Annotated

from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.space import Choice, Evolvable, Generator, SearchSpace, Value, generator_for, sample
from nas.core.strategy import BestSeen, Strategy
from nas.core.trial import Proposal, Trial
from nas.strategies.novelty import Seen

_MUTATIONS_A_DECISION = 20  # the paper's 1,000 for its 46 decisions
_LEAST_TOURNAMENT = 5


class Hierarchical(Strategy):
    """Evolution of hierarchical representations (Liu, Simonyan, Vinyals, Fernando & Kavukcuoglu 2018, section 3).

    The first genotypes are the trivial one, diversified by very many random mutations (section 3.2); in ours every
    decision of the trivial genotype is its usual value, or random where nothing is usual. Then 5% of the population
    are drawn, the winner is mutated, and the child joins; nobody is ever removed (algorithm 1). Asynchronous: a
    child is made whenever a worker is free. A mutation draws a level, then an edge of a motif of that level, then
    what it holds (section 3.1): that is what spaces with hierarchical cells do in their `mutate`.

    The paper evaluated 200 first genotypes of 7,000 in all. By default ours are a tenth of the trials, 10 to 200,
    and a tournament has at least 5 members: 5% of a population of 20 would be one, and no selection.
    """

    descends = True

    def __init__(
        self,
        space: SearchSpace,
        *,
        seed: int,
        trials: int,
        population: Annotated[int | None, "first genotypes; by default a tenth of the trials, 10 to 200"] = None,
        mutations: Annotated[int | None, "of each first genotype; by default 20 a decision that is open"] = None,
        tournament: Annotated[float, "share of the population in a tournament, at least 5 members"] = 0.05,
        duplicates: Annotated[bool, "evaluate an architecture again that was evaluated before"] = False,
    ) -> None:
        if not isinstance(space, Evolvable):
            raise UserError("--strategy", "hierarchical", "spaces that can mutate a genotype")
        if population is None:
            population = min(200, max(10, trials // 10))
        if population < 1:
            raise UserError("--set population", population, "1 or more")
        if mutations is not None and mutations < 0:
            raise UserError("--set mutations", mutations, "0 or more")
        if not 0 < tournament <= 1:
            raise UserError("--set tournament", tournament, "more than 0, at most 1")
        self._space, self._evolvable, self._seed = space, space, seed
        self._first, self._mutations, self._share, self._duplicates = population, mutations, tournament, duplicates
        self._population: list[Trial] = []
        self._asked = 0
        self._seen = Seen(space)
        self._best = BestSeen()

    def ask(self, number: int) -> Proposal | None:
        """A diversified trivial genotype while the first population is made, then a tournament's child."""
        generator = generator_for(self._seed, number)
        first = self._asked < self._first or not self._population
        proposal = self._diversified(generator) if first else self._child(generator)
        if proposal is not None:
            self._asked += 1
            self._seen.add(proposal.genotype)
        return proposal

    def _diversified(self, generator: Generator) -> Proposal | None:
        """Section 3.2: the trivial genotype, mutated very often."""
        genotype = sample(self._space, generator, usual=1.0)
        mutations = self._mutations if self._mutations is not None else _MUTATIONS_A_DECISION * self._open(genotype)
        for _ in range(mutations):
            genotype, _ = self._evolvable.mutate(genotype, generator)
        proposal = Proposal(genotype, origin=f"{mutations} mutations of the trivial genotype")
        return proposal if self._duplicates else self._new(proposal, generator)

    def _open(self, genotype: Genotype) -> int:
        """How many decisions a mutation could change: those that are asked for, as what has one value is not."""
        asked: list[str] = []

        def count(choice: Choice) -> Value:
            asked.append(choice.site)
            value: Value = genotype.content.get(choice.site, choice.values[0])
            return value

        self._space.grow(count)
        return len(asked)

    def _child(self, generator: Generator) -> Proposal | None:
        """Algorithm 1: the winner of a tournament, mutated."""
        size = min(len(self._population), max(_LEAST_TOURNAMENT, math.ceil(self._share * len(self._population))))

        def draw() -> Proposal:
            drawn = generator.choice(len(self._population), size, replace=False)
            parent = min((self._population[int(i)] for i in drawn), key=lambda trial: (trial.losses[0], trial.number))
            child, change = self._evolvable.mutate(parent.genotype, generator)
            return Proposal(child, parents=(parent.number,), origin=f"mutation: {change}")

        if self._duplicates:
            return draw()
        return self._seen.first_new(draw) or self._new(draw(), generator)

    def _new(self, proposal: Proposal, generator: Generator) -> Proposal | None:
        """The proposal if it is new, else what further mutations of it lead to; None where all seems to be known."""
        if proposal.genotype not in self._seen:
            return proposal
        return self._seen.walk_on(proposal, self._evolvable, generator)

    def tell(self, trial: Trial) -> None:
        """The trial joins the population for ever."""
        self._population.append(trial)
        self._best.tell(trial)

    def recommend(self) -> int | None:
        """The best seen."""
        return self._best.number
