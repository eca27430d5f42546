"""Hierarchical evolution is that of its paper."""

import numpy as np
import pytest

from nas.core.errors import UserError
from nas.strategies.hierarchical import Hierarchical
from nas.testing import StrategyContract
from nas.testing.toys import ToySpace, asked_and_told
from tests.parts.cells import CellSpace


class TestHierarchical(StrategyContract):
    def make(self, space, seed, trials):
        return Hierarchical(space, seed=seed, trials=trials)


class Asked:
    """A space that counts how often it is mutated."""

    def __init__(self, space):
        self.space, self.mutations = space, 0

    def __getattr__(self, name):
        return getattr(self.space, name)

    def mutate(self, genotype, generator):
        self.mutations += 1
        return self.space.mutate(genotype, generator)

    def crossover(self, first, second, generator):
        return self.space.crossover(first, second, generator)


def test_first_genotypes_are_the_trivial_one_mutated_very_often():
    space = Asked(CellSpace("hierarchical"))
    strategy = Hierarchical(space, seed=0, trials=100, population=5)
    origin = strategy.ask(0).origin
    assert space.mutations == 20 * 24  # the paper's 1,000 for 46 decisions, for ours
    assert origin == "480 mutations of the trivial genotype"
    none = Hierarchical(space, seed=0, trials=100, population=5, mutations=0)
    assert none.ask(0).genotype == space.grow(lambda choice: choice.usual)


def test_many_mutations_leave_nothing_of_the_trivial_genotype():
    strategy = Hierarchical(CellSpace("hierarchical"), seed=0, trials=500, population=20)
    drawn = [strategy.ask(number).genotype.content for number in range(15)]
    usual = CellSpace("hierarchical").grow(lambda choice: choice.usual).content
    kept = np.mean([genotype[site] == usual[site] for genotype in drawn for site in usual])
    assert 0.1 < kept < 0.3  # drawn uniformly: 18 of 24 edges in one of 7 cases, 6 in one of 4: .17


def test_nobody_is_ever_removed():
    history = asked_and_told(Hierarchical(ToySpace(), seed=0, trials=400, population=10), 400)
    ages = [trial.number - trial.proposal.parents[0] for trial in history[10:]]
    assert max(ages) > 200
    assert all(len(trial.proposal.parents) == 1 for trial in history[10:])


def test_a_twentieth_of_the_population_competes():
    strategy = Hierarchical(ToySpace(), seed=0, trials=4000, population=400, mutations=5, duplicates=True)
    history = asked_and_told(strategy, 1200, loss=lambda genotype: int(genotype.id, 16) / 16**10)
    ranks = []
    for trial in history[400:]:
        losses = np.array([earlier.losses[0] for earlier in history[: trial.number]])
        parent = history[trial.proposal.parents[0]].losses[0]
        ranks.append(np.mean(losses < parent) * len(losses) * 0.05)
    # the best of k drawn of n has a mean rank of n / k: about 1 in these units
    assert 0.8 < np.mean(ranks) < 1.2


def test_small_populations_still_select():
    strategy = Hierarchical(ToySpace(), seed=0, trials=100, population=10)
    history = asked_and_told(strategy, 11)
    parent = history[history[10].proposal.parents[0]]
    assert sum(trial.losses[0] < parent.losses[0] for trial in history[:10]) <= 5  # the best of five of ten


def test_the_first_population_grows_with_the_budget():
    sizes = [Hierarchical(ToySpace(), seed=0, trials=trials)._first for trials in (1, 60, 200, 7000)]
    assert sizes == [10, 10, 20, 200]


@pytest.mark.parametrize("options", [{"population": 0}, {"mutations": -1}, {"tournament": 0.0}, {"tournament": 1.5}])
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match="--set"):
        Hierarchical(ToySpace(), seed=0, trials=30, **options)
