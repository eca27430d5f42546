"""Where proposals come from that need no model: random genotypes, and mutants of earlier trials' genotypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from nas.core.space import Choice, Decision, Evolvable, Generator, SearchSpace, Traceable, Value, sample
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


def propose_steps(space: SearchSpace, parent: Trial) -> list[Proposal]:
    """The parent's genotype after one step, to the next value, of an ordered decision of which one is usual."""
    if not isinstance(space, Traceable):
        return []
    decisions = space.trace(parent.genotype)
    proposals = []
    for decision in decisions:
        if decision.choice.ordered and decision.choice.usual is not None:
            values = decision.choice.values
            place = values.index(decision.value)
            for value in (values[i] for i in (place - 1, place + 1) if 0 <= i < len(values)):
                proposals.append(_step(space, parent, decisions, decision, value))
    return proposals


def _step(
    space: SearchSpace, parent: Trial, decisions: Sequence[Decision], changed: Decision, value: Value
) -> Proposal:
    answers = {d.choice.site: d.value for d in decisions} | {changed.choice.site: value}

    def answer(choice: Choice) -> Value:
        known = answers.get(choice.site)
        if known is not None and known in choice.values:
            return known
        return choice.values[0] if choice.usual is None else choice.usual

    change = f"step: {changed.choice.site}: {changed.value} -> {value}"
    return Proposal(space.grow(answer), (parent.number,), change)
