"""Every strategy keeps the laws; evolution is its paper's."""

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nas import registry
from nas.core.errors import UserError
from nas.core.job import TrainSupernet
from nas.core.trial import Trial
from nas.strategies.darts import Darts
from nas.strategies.deap_nsga2 import DeapNSGA2
from nas.strategies.evolution import Evolution
from nas.strategies.random import Random
from nas.testing import StrategyContract
from nas.testing.toys import RelaxableToySpace, ToySpace, asked_and_told, ended, toy_loss, toy_supernet


class TestRandom(StrategyContract):
    beats_random = False

    def make(self, space, seed, trials):
        return Random(space, seed=seed, trials=trials)


class TestEvolution(StrategyContract):
    def make(self, space, seed, trials):
        return Evolution(space, seed=seed, trials=trials)


class TestDeapNSGA2(StrategyContract):
    def make(self, space, seed, trials):
        return DeapNSGA2(space, seed=seed, trials=trials)


class TestDarts(StrategyContract):
    def make(self, space, seed, trials):
        relaxable = RelaxableToySpace()
        relaxable._restrictions = space._restrictions
        return Darts(relaxable, seed=seed, trials=trials)

    def test_a_space_smaller_than_the_budget_is_exhausted_and_not_repeated(self):
        fixed = {f"letter{i}": ("a",) for i in range(7)}
        space = RelaxableToySpace().restrict({**fixed, "depth": (1,), "source": (0,)})
        strategy = self.make(space, 0, 30)
        seen = []
        for number in range(30):
            proposal = strategy.ask(number)
            if proposal is None:
                break
            trial = ended(Trial(number, proposal, number), toy_loss(proposal.genotype))
            if not isinstance(proposal.job, TrainSupernet):
                seen.append(proposal.genotype)
            else:
                trial = replace(trial, measurements=toy_supernet(trial, space))
            strategy.tell(trial)
        assert len(set(seen)) == len(seen)
        assert 1 <= len(seen) <= 5  # the last letter
        assert number < 20


def test_every_registered_strategy_has_a_contract_test():
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parents[2].rglob("test_*.py"))
    suites = re.findall(r"^class \w+\([^)]*StrategyContract\):\n(.*?)(?=^\S)", tests, re.DOTALL | re.MULTILINE)
    for name in registry.BUILT_IN["strategy"]:
        constructor = registry.load("strategy", name).__name__
        assert any(f"return {constructor}(" in suite for suite in suites), name


def test_the_first_population_is_random_and_then_come_children():
    history = asked_and_told(Evolution(ToySpace(), seed=0, trials=100, population=10, sample=3), 40)
    assert all(trial.proposal.origin == "random" for trial in history[:10])
    assert all(trial.proposal.parents for trial in history[10:])


def test_parents_are_among_the_last_p_trials():
    history = asked_and_told(Evolution(ToySpace(), seed=0, trials=200, population=12, sample=4), 200)
    for trial in history[12:]:
        assert trial.number - 12 <= trial.proposal.parents[0] < trial.number


def test_a_tournament_of_the_whole_population_is_nearly_always_won_by_its_best():
    history = asked_and_told(Evolution(ToySpace(), seed=0, trials=100, population=5, sample=5), 60)
    best = 0
    for trial in history[5:]:
        members = history[trial.number - 5 : trial.number]
        best += trial.proposal.parents[0] == min(members, key=lambda t: (t.losses, t.number)).number
    # drawn with replacement, the best is missed with probability (4/5)^5 = .33
    assert 0.5 < best / 55 < 0.85


def test_a_child_is_one_mutation_away():
    history = asked_and_told(Evolution(ToySpace(), seed=1, trials=100, population=10, sample=3, duplicates=True), 100)
    for trial in history[10:]:
        parent = history[trial.proposal.parents[0]].genotype.content
        child = trial.genotype.content
        changed = {site for site in parent.keys() & child.keys() if parent[site] != child[site]}
        assert len(changed) == 1
        assert set(parent) ^ set(child) <= {"rate"}  # which arises with the first letter


class Bent(ToySpace):
    """The toy space with a usual letter."""

    def decide(self, ask):
        for i in range(8):
            ask.operation(f"letter{i}", "abcde", usual="c")
        ask.structure("depth", (1, 2, 3, 4), ordered=True, usual=3)
        ask.structure("source", (0, 1, 2))


def test_the_first_population_starts_from_what_is_usual():
    history = asked_and_told(Evolution(Bent(), seed=0, trials=80, population=20), 20)
    first = history[0].genotype.content
    assert {first[f"letter{i}"] for i in range(8)} == {"c"}
    letters = [trial.genotype.content[f"letter{i}"] for trial in history[1:] for i in range(8)]
    assert 0.7 < letters.count("c") / len(letters) < 0.9  # .75 + .25 / 5 = .8
    uniform = asked_and_told(Evolution(Bent(), seed=0, trials=80, population=20, usual=0.0), 20)
    letters = [trial.genotype.content[f"letter{i}"] for trial in uniform for i in range(8)]
    assert letters.count("c") / len(letters) < 0.35


def test_what_is_usual_survives_restriction_as_the_nearest_that_is_left():
    near = Bent().restrict({"depth": (1, 4)}).choices()["depth"].usual
    assert near == 4
    assert Bent().restrict({"letter0": ("a", "b")}).choices()["letter0"].usual is None


def test_duplicates_only_when_asked_for():
    allowed = asked_and_told(Evolution(ToySpace(), seed=0, trials=300, population=5, sample=5, duplicates=True), 300)
    refused = asked_and_told(Evolution(ToySpace(), seed=0, trials=300, population=5, sample=5), 300)
    assert len({t.genotype.id for t in allowed}) < 300
    assert len({t.genotype.id for t in refused}) == 300


def test_the_default_population_grows_with_the_budget():
    sizes = [Evolution(ToySpace(), seed=0, trials=trials)._population.maxlen for trials in (1, 24, 30, 300, 10_000)]
    assert sizes == [4, 6, 7, 50, 50]


@pytest.mark.parametrize("options", [{"population": 0}, {"population": 5, "sample": 6}, {"sample": 0}, {"usual": 2.0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match="--set"):
        Evolution(ToySpace(), seed=0, trials=30, **options)


def test_random_draws_uniformly():
    drawn = asked_and_told(Random(ToySpace(), seed=0, trials=1000), 1000)
    counts = Counter(trial.genotype.content["letter3"] for trial in drawn)
    assert np.std([counts[letter] for letter in "abcde"]) < 30


def test_evolution_finds_the_optimum_of_the_toy_landscape():
    history = asked_and_told(Evolution(ToySpace(), seed=0, trials=400, population=20, sample=5), 400)
    assert min(trial.losses[0] for trial in history) < 0.2
