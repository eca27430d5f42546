"""Where proposals come from that need no model: random genotypes, and mutants of earlier trials' genotypes."""

from __future__ import annotations

from typing import Protocol

from nas.core.space import Evolvable, Generator, SearchSpace, sample
from nas.core.trial import Proposal, Trial


class EvolvableSpace(SearchSpace, Evolvable, Protocol):
    """A search space whose genotypes can be mutated and crossed."""


def propose_random(space: SearchSpace, generator: Generator, usual: float = 0.0, *, first: bool = False) -> Proposal:
    """A genotype whose every decision is the usual one with probability `usual`, else drawn uniformly.

    The first of a search is the usual genotype itself, unless `usual` is 0.
    """
    return Proposal(sample(space, generator, 1.0 if usual and first else usual), origin="random")


def propose_mutant(space: Evolvable, parent: Trial, generator: Generator) -> Proposal:
    """The parent's genotype after one mutation."""
    mutant, change = space.mutate(parent.genotype, generator)
    return Proposal(mutant, (parent.number,), f"mutation: {change}")
