"""NEAT: topologies that grow from a minimal structure, protected by species."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from nas.core.errors import UserError
from nas.core.space import Evolvable, Generator, Genetic, SearchSpace, Traceable, generator_for
from nas.core.trial import Proposal, Trial
from nas.strategies.compatibility import Genes, make_crossover, make_gene_reader, measure_distance
from nas.strategies.mutation import EvolvableSpace, propose_mutant, propose_random
from nas.strategies.novelty import ProposesNew, Seen
from nas.strategies.option_checks import require, require_at_least, require_probability, require_share
from nas.strategies.tournament import loss_then_number

# section 4.1 of the paper
_MUTATION_ONLY = 0.25
_BETWEEN_SPECIES = 0.001
_LARGE = 5  # champions of larger species are copied
_POPULATION_STAGNATION = 20
# of crossed children that are left as they are: neither weights (80%) nor a link (5%) nor a node (3%) change
_UNMUTATED = 0.18


@dataclass(frozen=True)
class Species:
    """Networks that compete with each other.

    Attributes:
        number: counted from 0 in the order in which species arise.
        members: of the last closed generation, the best first.
        best: the least loss that it has reached.
        improved: the generation in which it reached that.
    """

    number: int
    members: tuple[Trial, ...]
    best: float = math.inf
    improved: int = 0


@dataclass(frozen=True)
class _Generation:
    """What is known when one begins: the species, the champions kept, and of which species each child shall be."""

    number: int
    species: tuple[Species, ...]
    kept: tuple[Trial, ...]
    births: tuple[int, ...]
    best: float
    improved: int


class Neat(ProposesNew):
    """NeuroEvolution of Augmenting Topologies (Stanley & Miikkulainen 2002).

    Generations of `population` members. Members are grouped into species by their compatibility distance to a
    random member of the species' last generation (section 3.3); species have children in proportion to their mean
    fitness (explicit fitness sharing, equation 2); the best fifth of a species are its parents; a child is a mutant
    (25%) or the crossing of two parents, genes aligned by innovation, then mutated. The champion of a species with
    more than five members lives on, and is not evaluated again. A species that has not improved for 15 generations
    has no children; after 20 without any improvement only the two best species have.

    Genes are what the space says they are (`nas.core.space.Genetic`), or its decisions. `ask` gives None while a
    generation's results are pending.

    Fitness is the metric ``fitness`` where the evaluator measures one, as in the paper. Other losses have no scale on
    which shares could be computed: then a member's fitness is the number of members that it is not worse than.
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
        population: Annotated[
            int | None, "members of a generation; by default a fifteenth of the trials, 10 to 150"
        ] = None,
        threshold: Annotated[float, "distance within a species, where `species` is 0"] = 3.0,
        species: Annotated[int | None, "the most species; 0: any number; by default 0 or a tenth of population"] = None,
        disjoint: Annotated[float, "c1 = c2 of the distance: genes that only one of two has"] = 1.0,
        weights: Annotated[float | None, "c3 of the distance: how genes of both differ; by default .4, or 1"] = None,
        survival: Annotated[float, "share of a species' members that become parents"] = 0.2,
        stagnation: Annotated[int, "generations without improvement until a species has no children"] = 15,
        usual: Annotated[float, "probability that a decision of the first generation is the usual one"] = 0.75,
        duplicates: Annotated[bool, "evaluate an architecture again that was evaluated before"] = False,
    ) -> None:
        genetic = isinstance(space, Genetic)
        if not isinstance(space, Evolvable) or not (genetic or isinstance(space, Traceable)):
            raise UserError("--strategy", "neat", "spaces that can vary a genotype and tell its genes or decisions")
        population = min(150, max(10, trials // 15)) if population is None else population
        if species is None:
            species = 0 if genetic else max(2, population // 10)
        require_at_least(2, population=population)
        require(threshold > 0, "threshold", threshold, "more than 0")
        require_at_least(0, species=species, disjoint=disjoint, weights=weights)
        require_share(survival=survival)
        require_at_least(1, stagnation=stagnation)
        require_probability(usual=usual)
        self._space: EvolvableSpace = space
        self._seed, self._usual = seed, usual
        self._size, self._threshold, self._most_species = population, threshold, species
        self._disjoint, self._weights = disjoint, weights if weights is not None else 0.4 if genetic else 1.0
        self._small = 20 if genetic else 0
        self._survival, self._stagnation = survival, stagnation
        self._read, self._cross = make_gene_reader(space), make_crossover(space)
        self._genes: dict[int, Genes] = {}
        self._generation = _Generation(0, (), (), (-1,) * population, math.inf, 0)
        self._born = 0
        self._pending: set[int] = set()
        self._members: list[Trial] = []
        self._seen = Seen(space, duplicates=duplicates)

    @property
    def generation(self) -> int:
        """How many generations have been closed."""
        return self._generation.number

    @property
    def species(self) -> tuple[Species, ...]:
        """The species of the last closed generation, which the present one is born of."""
        return self._generation.species

    # -- asking and telling

    def start_from(self, proposals: Sequence[Proposal]) -> None:
        """Let what is tried first be of the first generation."""
        super().start_from(proposals)
        self._generation = replace(self._generation, births=self._generation.births[len(proposals) :])

    def ask(self, number: int) -> Proposal | None:
        """The next child of the generation; None while the last of them are evaluated."""
        generator = generator_for(self._seed, number)
        proposal = self._child(self._generation, self._born, generator)
        if proposal is None:
            if self._pending or not self._members:
                return None
            following = self._close_generation(generator)
            proposal = self._child(following, 0, generator)
            if proposal is None:
                return None
            self._generation, self._born, self._members = following, 0, list(following.kept)
            kept = {trial.number for species in following.species for trial in species.members}
            self._genes = {n: genes for n, genes in self._genes.items() if n in kept}
        self._born += 1
        self._pending.add(number)
        return self._seen.remember(proposal)

    def tell(self, trial: Trial) -> None:
        """The trial is a member of its generation, a failed one with the least fitness."""
        self._pending.discard(trial.number)
        self._members.append(trial)
        super().tell(trial)

    # -- children

    def _child(self, generation: _Generation, born: int, generator: Generator) -> Proposal | None:
        """The generation's next child; None if it has all its children or there is nothing new."""
        if born >= len(generation.births):
            return None
        first = generation.births[born] < 0

        def draw() -> Proposal:
            if first:  # section 2.4: start minimally
                start = propose_random(self._space, generator, self._usual, first=self._seen.count == 0)
                return replace(start, origin="first generation")
            return self._reproduce(generation.species, generation.births[born], generator)

        # where all that is near by is known
        return self._seen.first_new(draw) or self._seen.walk_on(draw(), self._space, generator)

    def _reproduce(self, species: Sequence[Species], own: int, generator: Generator) -> Proposal:
        """A mutant of a parent, or the child of two of one species (hardly ever of two)."""
        parent = self._parent(species[own], generator)
        if generator.random() >= _MUTATION_ONLY:
            if len(species) > 1 and generator.random() < _BETWEEN_SPECIES:
                own = (own + 1 + int(generator.integers(len(species) - 1))) % len(species)
            other = self._parent(species[own], generator)
            if other is not parent:
                return self._cross_parents(parent, other, generator)
        return propose_mutant(self._space, parent, generator)

    def _parent(self, species: Species, generator: Generator) -> Trial:
        survivors = min(len(species.members), math.floor(self._survival * len(species.members)) + 1)
        return species.members[int(generator.integers(survivors))]

    def _cross_parents(self, one: Trial, other: Trial, generator: Generator) -> Proposal:
        fitter, weaker = sorted((one, other), key=loss_then_number)
        child = self._cross(fitter.genotype, weaker.genotype, generator)
        origin = f"crossover of {fitter.number} and {weaker.number}"
        if generator.random() >= _UNMUTATED:
            child, change = self._space.mutate(child, generator)
            origin = f"{origin}; {change}"
        return Proposal(child, (fitter.number, weaker.number), origin)

    # -- the end of a generation

    def _close_generation(self, generator: Generator) -> _Generation:
        """Group the members into species and decide how many children each has; the state stays as it is."""
        now = self._generation.number + 1
        species = self._group_by_species(now, generator)
        best = min(trial.losses[0] for trial in self._members)
        improved = now if best < self._generation.best else self._generation.improved
        best = min(best, self._generation.best)
        fertile = [s for s in species if now - s.improved < self._stagnation]
        if now - improved > _POPULATION_STAGNATION or not fertile:
            # "refocusing the search into the most promising": they begin anew, so that others can arise beside them
            improved = now
            most_promising = sorted(species, key=lambda s: loss_then_number(s.members[0]))[:2]
            fertile = [replace(s, improved=now) for s in most_promising]
        fitness = _measure_fitness(self._members)
        shares = [sum(fitness[trial.number] for trial in s.members) / len(s.members) for s in fertile]
        kept, births = [], []
        for index, (group, children) in enumerate(zip(fertile, apportion_seats(shares, self._size), strict=True)):
            if len(group.members) > _LARGE and children > 0:
                kept.append(group.members[0])
                children -= 1
            births += [index] * children
        return _Generation(now, tuple(fertile), tuple(kept), tuple(births), best, improved)

    def _group_by_species(self, now: int, generator: Generator) -> list[Species]:
        """Section 3.3: each member joins the first species whose representative is near, or founds one."""
        for trial in self._members:
            if trial.number not in self._genes:
                self._genes[trial.number] = self._read(trial.genotype)
        old = self._generation.species
        representatives = [self._genes[s.members[int(generator.integers(len(s.members)))].number] for s in old]
        groups = self._split_into_species(representatives)
        following = max((s.number for s in old), default=-1) + 1
        found = []
        for index, group in enumerate(groups):
            if not group:
                continue  # extinct
            members = tuple(sorted(group, key=loss_then_number))
            before = old[index] if index < len(old) else Species(following + index - len(old), (), improved=now)
            best = members[0].losses[0]
            if best < before.best:
                found.append(Species(before.number, members, best, now))
            else:
                found.append(Species(before.number, members, before.best, before.improved))
        return found

    def _split_into_species(self, representatives: Sequence[Genes]) -> list[list[Trial]]:
        if not self._most_species:
            return self._split_by_distance(self._threshold, representatives)
        low, high = 0.0, 2.0 * (self._disjoint + self._weights)  # at the latter all are one species
        groups = self._split_by_distance(high, representatives)
        for _ in range(8):  # the least threshold that gives no more species than wanted
            middle = (low + high) / 2
            finer = self._split_by_distance(middle, representatives)
            if sum(map(bool, finer)) > self._most_species:
                low = middle
            else:
                high, groups = middle, finer
        return groups

    def _split_by_distance(self, threshold: float, representatives: Sequence[Genes]) -> list[list[Trial]]:
        """The members of every species, old ones first."""
        known = list(representatives)
        groups: list[list[Trial]] = [[] for _ in known]
        for trial in self._members:
            genes = self._genes[trial.number]
            for representative, group in zip(known, groups, strict=True):
                if self._distance(genes, representative) < threshold:
                    group.append(trial)
                    break
            else:
                known.append(genes)
                groups.append([trial])
        return groups

    def _distance(self, one: Genes, other: Genes) -> float:
        return measure_distance(one, other, disjoint=self._disjoint, weights=self._weights, small=self._small)


def _measure_fitness(members: Sequence[Trial]) -> Mapping[int, float]:
    """The metric ``fitness`` where every member has it, else how many members one is not worse than; failed: 0."""
    good = [trial for trial in members if trial.losses[0] < math.inf]
    fitness = dict.fromkeys((trial.number for trial in members), 0.0)
    if good and all(trial.metrics.get("fitness", -1.0) >= 0 for trial in good):
        return fitness | {trial.number: trial.metrics["fitness"] for trial in good}
    losses = [trial.losses[0] for trial in members]
    return fitness | {trial.number: float(sum(trial.losses[0] <= loss for loss in losses)) for trial in good}


def apportion_seats(shares: Sequence[float], seats: int) -> list[int]:
    """How many of `seats` each share is worth: rounded down, and the rest to the largest remainders."""
    total = sum(shares)
    exact = [seats * share / total if total > 0 else seats / len(shares) for share in shares]
    whole = [math.floor(part) for part in exact]
    order = sorted(range(len(shares)), key=lambda i: (whole[i] - exact[i], i))
    for i in order[: seats - sum(whole)]:
        whole[i] += 1
    return whole
