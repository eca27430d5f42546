"""Proposing nothing twice."""

from __future__ import annotations

from collections.abc import Callable

from nas.core.genotype import Genotype
from nas.core.space import Canonical, Evolvable, Generator, SearchSpace
from nas.core.trial import Proposal

_ATTEMPTS = 200


class Seen:
    """The genotypes proposed so far, by their canonical form where the space has one."""

    def __init__(self, space: SearchSpace) -> None:
        self._form: Callable[[Genotype], str] = (
            space.canonical_form if isinstance(space, Canonical) else lambda genotype: genotype.id
        )
        self._forms: set[str] = set()

    def add(self, genotype: Genotype) -> None:
        """Remember it."""
        self._forms.add(self._form(genotype))

    def __contains__(self, genotype: Genotype) -> bool:
        return self._form(genotype) in self._forms

    def first_new(self, draw: Callable[[], Proposal]) -> Proposal | None:
        """The first of up to 200 draws whose genotype is new; None where there seems to be nothing new."""
        draws = (draw() for _ in range(_ATTEMPTS))
        return next((proposal for proposal in draws if proposal.genotype not in self), None)

    def walk_on(self, proposal: Proposal, space: Evolvable, generator: Generator) -> Proposal | None:
        """The first new genotype among up to 200 further mutations, one of the other; None where nothing is."""

        def walk() -> Proposal:
            nonlocal proposal
            mutant, _ = space.mutate(proposal.genotype, generator)
            proposal = Proposal(mutant, proposal.parents, "further mutations, on to something new")
            return proposal

        return self.first_new(walk)
