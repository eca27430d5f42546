"""Genotypes as genes with innovations: how far apart two of them are, and how they are crossed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nas.core.genotype import Genotype
from nas.core.space import Choice, Evolvable, Generator, Genetic, SearchSpace, Traceable, Value

Genes = Mapping[str, float | str]
"""What a gene holds, by its innovation: numbers differ by their distance, texts by being another."""

_SMALL = 20


def make_gene_reader(space: SearchSpace) -> Callable[[Genotype], Genes]:
    """Make what reads the genes of the space's genotypes: its own, or its decisions, ordered ones scaled to [0, 1].

    Raises:
        TypeError: the space can tell neither.
    """
    if isinstance(space, Genetic):
        return space.genes
    if not isinstance(space, Traceable):
        raise TypeError(f"{space.name} says neither its genes nor its decisions")
    traceable = space

    def read_decisions(genotype: Genotype) -> Genes:
        return {d.choice.site: _position(d.choice, d.value) for d in traceable.trace(genotype)}

    return read_decisions


def _position(choice: Choice, value: Value) -> float | str:
    if not choice.ordered or len(choice.values) == 1:
        return str(value)
    return choice.values.index(value) / (len(choice.values) - 1)


def measure_distance(one: Genes, other: Genes, *, disjoint: float, weights: float, small: int = _SMALL) -> float:
    """The compatibility distance delta = c1 (E + D) / N + c3 W (equation 1).

    Excess genes E and disjoint ones D have the same coefficient, as in all the paper's experiments. N is the number
    of genes of the larger genome, or 1 where that has fewer than `small`. W is the mean difference of matching genes.
    """
    total, matching = 0.0, 0
    for innovation, value in one.items():
        matched = other.get(innovation)
        if matched is None:
            continue
        matching += 1
        if isinstance(value, str) or isinstance(matched, str):
            total += value != matched
        else:
            total += abs(value - matched)
    larger = max(len(one), len(other))
    unmatched = len(one) + len(other) - 2 * matching
    difference = total / matching if matching else 0.0
    return disjoint * unmatched / (1 if larger < small else larger) + weights * difference


def make_crossover(space: SearchSpace) -> Callable[[Genotype, Genotype, Generator], Genotype]:
    """Make what crosses a fitter genotype with another: matching genes of either, all others of the fitter (figure 4).

    A Genetic space does so itself. In a space of decisions a mixture may make other decisions arise than the
    fitter's: those of the network's structure are then the fitter's as well, and what still arises anew is the other
    parent's, or drawn at random.
    """
    if isinstance(space, Genetic) or not isinstance(space, Traceable):
        assert isinstance(space, Evolvable)
        return space.crossover
    traceable = space

    def cross(fitter: Genotype, other: Genotype, generator: Generator) -> Genotype:
        mine = {d.choice.site: d for d in traceable.trace(fitter)}
        theirs = {d.choice.site: d.value for d in traceable.trace(other)}
        inherited: dict[str, Value] = {}
        for site, decision in mine.items():
            from_other = site in theirs and generator.random() < 0.5
            inherited[site] = theirs[site] if from_other else decision.value

        def answer(choice: Choice) -> Value:
            for known in (inherited, theirs):
                if choice.site in known:
                    return known[choice.site]
            return choice.values[int(generator.integers(len(choice.values)))]

        child = space.grow(answer)
        if child.content.keys() != mine.keys():
            inherited |= {site: d.value for site, d in mine.items() if d.choice.role == "structure"}
            child = space.grow(answer)
        return child

    return cross
