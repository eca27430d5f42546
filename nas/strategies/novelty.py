"""Proposing no genotype twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nas.core.genotype import Genotype
from nas.core.space import Canonical, Evolvable, Generator, SearchSpace
from nas.core.strategy import RecommendsBestSeen
from nas.core.trial import Proposal

_ATTEMPTS = 200


class Seen:
    """The genotypes proposed so far, by their canonical form where the space has one.

    Args:
        duplicates: whether a genotype may be proposed again; then none counts as seen.

    Attributes:
        count: how many proposals there were.
    """

    def __init__(self, space: SearchSpace, *, duplicates: bool = False) -> None:
        self._form: Callable[[Genotype], str] = (
            space.canonical_form if isinstance(space, Canonical) else lambda genotype: genotype.id
        )
        self._forms: set[str] = set()
        self._duplicates = duplicates
        self.count = 0

    def add(self, genotype: Genotype) -> None:
        """Remember that the genotype was proposed."""
        self.count += 1
        if not self._duplicates:
            self._forms.add(self._form(genotype))

    def remember(self, proposal: Proposal | None) -> Proposal | None:
        """Remember what is proposed, if there is something, and give it back."""
        if proposal is not None:
            self.add(proposal.genotype)
        return proposal

    def __contains__(self, genotype: Genotype) -> bool:
        return not self._duplicates and self._form(genotype) in self._forms

    def first_new(self, draw: Callable[[], Proposal]) -> Proposal | None:
        """The first of up to 200 draws whose genotype is new; None where there seems to be nothing new."""
        draws = (draw() for _ in range(_ATTEMPTS))
        return next((proposal for proposal in draws if proposal.genotype not in self), None)

    def walk_on(
        self, start: Proposal, space: Evolvable, generator: Generator, mutations: int | None = None
    ) -> Proposal | None:
        """The first new genotype on a walk of up to 200 mutations that begins at `start`; None where none is new.

        Args:
            mutations: how many mutations have led to `start`, where the origin shall say how many there were in all.
        """
        genotype = start.genotype
        for step in range(1, _ATTEMPTS + 1):
            genotype, _ = space.mutate(genotype, generator)
            if genotype not in self:
                further = "further mutations, on to something new"
                origin = further if mutations is None else f"{mutations + step} mutations"
                return Proposal(genotype, start.parents, origin)
        return None


class ProposesNew(RecommendsBestSeen):
    """A strategy that proposes no genotype twice, nor what it starts from."""

    _seen: Seen

    def start_from(self, proposals: Sequence[Proposal]) -> None:
        """Count what is tried first as proposed."""
        for proposal in proposals:
            self._seen.add(proposal.genotype)
