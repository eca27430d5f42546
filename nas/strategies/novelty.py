"""Proposing nothing twice."""

from __future__ import annotations

from collections.abc import Callable

from nas.core.genotype import Genotype
from nas.core.trial import Proposal

_ATTEMPTS = 200


class Seen:
    """The genotypes proposed so far."""

    def __init__(self) -> None:
        self._ids: set[str] = set()

    def add(self, genotype: Genotype) -> None:
        """Remember it."""
        self._ids.add(genotype.id)

    def __contains__(self, genotype: Genotype) -> bool:
        return genotype.id in self._ids

    def first_new(self, draw: Callable[[], Proposal]) -> Proposal | None:
        """The first of up to 200 draws whose genotype is new; None where there seems to be nothing new."""
        draws = (draw() for _ in range(_ATTEMPTS))
        return next((proposal for proposal in draws if proposal.genotype not in self), None)
