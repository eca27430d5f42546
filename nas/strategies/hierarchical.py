"""Hierarchical evolution: a population that only grows, and tournaments of a twentieth of it."""

from __future__ import annotations

import math
from typing import Annotated

from nas.core.genotype import Genotype
from nas.core.space import Choice, Generator, SearchSpace, Value, generator_for, sample
from nas.core.trial import Proposal, Trial
from nas.strategies.mutation import propose_mutant
from nas.strategies.novelty import ProposesNew, Seen
from nas.strategies.option_checks import require_at_least, require_evolvable, require_share
from nas.strategies.tournament import select_by_tournament

_MUTATIONS_A_DECISION = 20  # the paper's 1,000 for its 46 decisions
_LEAST_TOURNAMENT = 5


class Hierarchical(ProposesNew):
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
    learns_from_others = True

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
        population = min(200, max(10, trials // 10)) if population is None else population
        require_at_least(1, population=population)
        require_at_least(0, mutations=mutations)
        require_share(tournament=tournament)
        self._space = require_evolvable(space, "hierarchical")
        self._seed, self._first, self._mutations, self._share = seed, population, mutations, tournament
        self._population: list[Trial] = []
        self._seen = Seen(space, duplicates=duplicates)

    def ask(self, number: int) -> Proposal | None:
        """A diversified trivial genotype while the first population is made, then a tournament's child."""
        generator = generator_for(self._seed, number)
        if self._seen.count < self._first or not self._population:
            proposal = self._diversify(generator)
        else:
            proposal = self._seen.first_new(lambda: self._propose_child(generator)) or self._propose_child(generator)
        if proposal.genotype in self._seen:
            return self._seen.remember(self._seen.walk_on(proposal, self._space, generator))
        return self._seen.remember(proposal)

    def _diversify(self, generator: Generator) -> Proposal:
        """Section 3.2: the trivial genotype, mutated very often."""
        genotype = sample(self._space, generator, usual=1.0)
        mutations = self._mutations
        mutations = _MUTATIONS_A_DECISION * self._count_open(genotype) if mutations is None else mutations
        for _ in range(mutations):
            genotype, _ = self._space.mutate(genotype, generator)
        return Proposal(genotype, origin=f"{mutations} mutations of the trivial genotype")

    def _count_open(self, genotype: Genotype) -> int:
        """How many decisions a mutation could change: those that are asked for, as what has one value is not."""
        asked: list[Choice] = []

        def count(choice: Choice) -> Value:
            asked.append(choice)
            value: Value = genotype.content.get(choice.site, choice.values[0])
            return value

        self._space.grow(count)
        return len(asked)

    def _propose_child(self, generator: Generator) -> Proposal:
        """Algorithm 1: the winner of a tournament, mutated."""
        size = min(len(self._population), max(_LEAST_TOURNAMENT, math.ceil(self._share * len(self._population))))
        parent = select_by_tournament(self._population, size, generator, replace=False)
        return propose_mutant(self._space, parent, generator)

    def tell(self, trial: Trial) -> None:
        """The trial joins the population for ever."""
        self._population.append(trial)
        super().tell(trial)
