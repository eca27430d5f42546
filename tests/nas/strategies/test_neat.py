"""NEAT is that of its paper: distances, species, shares and generations."""

import itertools

import numpy as np
import pytest

from nas.core.errors import UserError
from nas.core.space import sample
from nas.core.trial import Measurement, Outcome, Trial
from nas.strategies.compatibility import make_crossover, make_gene_reader, measure_distance
from nas.strategies.neat import Neat, apportion_seats
from nas.testing import StrategyContract
from nas.testing.toys import ToySpace, asked_and_told, ended, toy_loss
from tests.parts.cells import CellSpace


class TestNeat(StrategyContract):
    def make(self, space, seed, trials):
        return Neat(space, seed=seed, trials=trials)


class TestNeatWithAFixedThreshold(StrategyContract):
    def make(self, space, seed, trials):
        return Neat(space, seed=seed, trials=trials, species=0, threshold=0.5)


# -- distances and crossing


def test_the_distance_is_the_papers():
    one = {"a": 1.0, "b": 2.0, "c": 0.0}
    other = {"a": 1.5, "b": 0.0, "d": 9.0, "e": 9.0}
    # three unmatched genes, N = 1 for small genomes, mean difference (.5 + 2) / 2
    assert measure_distance(one, other, disjoint=1.0, weights=0.4) == pytest.approx(3 + 0.4 * 1.25)
    assert measure_distance(one, other, disjoint=1.0, weights=0.4, small=0) == pytest.approx(3 / 4 + 0.4 * 1.25)
    large = {str(i): 0.0 for i in range(25)}
    assert measure_distance(large, {**large, "x": 1.0}, disjoint=1.0, weights=0.4) == pytest.approx(1 / 26)
    assert measure_distance(one, one, disjoint=1.0, weights=0.4) == 0


def test_decisions_are_genes_and_ordered_ones_differ_by_their_distance():
    space = ToySpace()
    low = space.grow(lambda choice: choice.values[0])
    high = space.grow(lambda choice: choice.values[-1])
    read = make_gene_reader(space)
    assert read(low)["depth"] == 0.0
    assert read(high)["depth"] == 1.0
    assert read(low)["letter0"] == "a"
    # rate arises in one only; 8 letters, the depth and the source differ wholly
    assert measure_distance(read(low), read(high), disjoint=1.0, weights=1.0, small=0) == pytest.approx(1 / 11 + 1.0)


def test_disjoint_and_excess_genes_are_the_fitters():
    space, generator = CellSpace("graph"), np.random.default_rng(0)
    cross = make_crossover(space)
    mixed = []
    for _ in range(200):
        fitter, other = sample(space, generator), sample(space, generator)
        child = cross(fitter, other, generator)
        space.validate(child)
        assert child.content.keys() == fitter.content.keys()
        both = fitter.content.keys() & other.content.keys()
        assert all(child.content[site] == fitter.content[site] for site in child.content if site not in both)
        operations = [site for site in both if site.endswith("operation")]
        mixed += [child.content[s] == other.content[s] for s in operations if fitter.content[s] != other.content[s]]
    assert 0.4 < np.mean(mixed) < 0.6


# -- species


def test_children_are_shared_out_by_mean_fitness():
    assert apportion_seats([2.0, 1.0, 1.0], 8) == [4, 2, 2]
    assert sum(apportion_seats([0.3, 0.5, 0.1], 11)) == 11
    assert apportion_seats([0.0, 0.0], 3) == [2, 1]


def test_the_next_generation_waits_for_the_last_result():
    strategy = Neat(ToySpace(), seed=0, trials=100, population=6)
    trials = [Trial(number, strategy.ask(number), 0) for number in range(6)]
    for trial in trials[:5]:
        strategy.tell(ended(trial, toy_loss(trial.genotype)))
        assert strategy.ask(6) is None
    strategy.tell(ended(trials[5], toy_loss(trials[5].genotype)))
    child = strategy.ask(6)
    assert set(child.parents) <= set(range(6))
    assert strategy.generation == 1


def test_parents_are_of_the_generation_before_and_among_the_best_of_a_species():
    strategy = Neat(ToySpace(), seed=0, trials=400, population=20)
    parents, species = {}, {}
    for number in range(400):
        proposal = strategy.ask(number)
        parents.setdefault(strategy.generation, set()).update(proposal.parents)
        species[strategy.generation] = strategy.species
        strategy.tell(ended(Trial(number, proposal, 0), toy_loss(proposal.genotype)))
    assert strategy.generation > 15
    for generation in range(1, strategy.generation + 1):
        eligible = set()
        for one in species[generation]:
            losses = [trial.losses[0] for trial in one.members]
            assert losses == sorted(losses)
            eligible |= {trial.number for trial in one.members[: int(0.2 * len(losses)) + 1]}
        assert parents[generation] <= eligible


def test_champions_of_large_species_live_on_without_being_evaluated_again():
    strategy = Neat(ToySpace(), seed=0, trials=400, population=20)
    before = ()
    for number in range(200):
        proposal = strategy.ask(number)
        if strategy.species is not before:
            members = {trial.number for one in strategy.species for trial in one.members}
            champions = {one.members[0].number for one in before if len(one.members) > 5}
            assert champions <= members
            before = strategy.species
        strategy.tell(ended(Trial(number, proposal, 0), toy_loss(proposal.genotype)))


def test_members_of_a_species_are_near_its_representative():
    strategy = Neat(ToySpace(), seed=0, trials=200, population=30, species=0, threshold=0.6)
    asked_and_told(strategy, 100)
    genes = make_gene_reader(ToySpace())
    for one in strategy.species:
        apart = [
            measure_distance(genes(a.genotype), genes(b.genotype), disjoint=1.0, weights=1.0, small=0)
            for a, b in itertools.combinations(one.members, 2)
        ]
        assert max(apart, default=0.0) < 1.2  # twice the threshold


def test_no_more_species_than_wanted():
    strategy = Neat(ToySpace(), seed=0, trials=300, population=30, species=4)
    counts = set()
    for number in range(300):
        proposal = strategy.ask(number)
        counts.add(len(strategy.species))
        strategy.tell(ended(Trial(number, proposal, 0), toy_loss(proposal.genotype)))
    assert max(counts) <= 4
    assert max(counts) > 1


def test_species_that_stagnate_have_no_children():
    """Nothing ever improves: after 15 generations the two best species are all that is left, and begin anew."""
    strategy = Neat(ToySpace(), seed=0, trials=1000, population=12, species=4, duplicates=True)
    ages = {}
    for number in range(12 * 40):
        proposal = strategy.ask(number)
        for one in strategy.species:
            ages.setdefault(one.number, set()).add(strategy.generation - one.improved)
        strategy.tell(ended(Trial(number, proposal, 0), 1.0))
    assert max(max(seen) for seen in ages.values()) < 15


def test_fitness_is_the_evaluators_where_it_measures_one():
    def shares(metrics):
        strategy = Neat(ToySpace(), seed=0, trials=100, population=40, species=2)
        for number in range(40):
            proposal = strategy.ask(number)
            fitness = 9.0 if proposal.genotype.content["letter0"] in "abc" else 1.0
            measured = Measurement(1, {"loss": -fitness, **({"fitness": fitness} if metrics else {})})
            strategy.tell(Trial(number, proposal, 0, (measured,), Outcome("complete"), (-fitness,)))
        strategy.ask(40)
        means = [np.mean([-t.losses[0] for t in one.members]) for one in strategy.species]
        births = [strategy._generation.births.count(i) for i in range(len(means))]
        births = [b + any(t in strategy._generation.kept for t in one.members)
                  for b, one in zip(births, strategy.species, strict=True)]  # fmt: skip
        return np.array(births) / sum(births), np.array(means) / sum(means)

    births, means = shares(True)
    assert np.allclose(births, means, atol=0.02)


@pytest.mark.parametrize(
    "options",
    [{"population": 1}, {"threshold": 0.0}, {"species": -1}, {"survival": 0.0}, {"stagnation": 0}, {"usual": 2.0}],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match="--set"):
        Neat(ToySpace(), seed=0, trials=30, **options)
