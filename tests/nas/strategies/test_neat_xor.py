"""NEAT solves the exclusive or as its paper says."""

import numpy as np
import pytest

from examples.xor import XOR, LogicEvaluator
from nas.core.genotype import Genotype
from nas.core.record import InMemory
from nas.core.search import Limits, Search
from nas.core.trial import Outcome, Proposal, Trial
from nas.executors.inline import Inline
from nas.strategies.neat import Neat
from search_spaces.neat_network.space import NetworkSpace


class UntilSolved:
    """Ends a search once a trial has solved its problem."""

    trial = None

    def __call__(self, trial):
        if trial.metrics.get("solved"):
            self.trial = trial

    def reached(self):
        return self.trial is not None


def test_xor_is_solved_by_a_search():
    space, solved = NetworkSpace(), UntilSolved()
    strategy = Neat(space, seed=0, trials=30_000, population=150)
    objectives, limits = (LogicEvaluator.metrics["fitness"].objective,), Limits(30_000, over=solved.reached)
    search = Search(space, strategy, objectives, InMemory(), seed=0, limits=limits)
    Inline().run(search, LogicEvaluator(space), solved)
    assert solved.trial is not None
    (outputs,) = zip(*space.function(solved.trial.genotype)([inputs for inputs, _ in XOR]), strict=True)
    assert [output > 0.5 for output in outputs] == [False, True, True, False]
    assert search.best.metrics["fitness"] >= solved.trial.metrics["fitness"] > 4
    assert 150 * strategy.generation >= len(search.ended) - 150  # champions live on without being evaluated


def solve_xor(seed):
    """Generations, evaluations and hidden nodes until the exclusive or is solved, without the search's bookkeeping."""
    space = NetworkSpace()
    strategy, evaluator = Neat(space, seed=seed, trials=30_000, population=150), LogicEvaluator(space)
    for number in range(30_000):
        trial = Trial(number, strategy.ask(number), 0)
        (measurement,) = evaluator.evaluate(trial)
        if measurement.metrics["solved"]:
            return strategy.generation + 1, number + 1, len(space.read(trial.genotype).splits)
        fitness = measurement.metrics["fitness"]
        strategy.tell(Trial(number, trial.proposal, 0, (measurement,), Outcome("complete"), (-fitness,)))
    raise AssertionError(f"run {seed} is not solved")


def check_that_xor_is_solved_as_in_the_paper(seeds):
    """100 runs of the paper: 32 generations and 4,755 evaluations (deviation 2,553, at worst 13,459), 2.35 nodes."""
    generations, evaluations, hidden = np.array([solve_xor(seed) for seed in seeds]).T
    assert 15 < generations.mean() < 45
    assert 2400 < evaluations.mean() < 6500
    assert evaluations.max() < 20_000
    assert 1.5 < hidden.mean() < 4.5
    assert hidden.min() >= 1  # no network without hidden nodes can


def test_xor_is_solved_as_in_the_paper_in_ten_runs():
    check_that_xor_is_solved_as_in_the_paper(range(10))


@pytest.mark.slow
def test_xor_is_solved_as_in_the_paper_in_twenty_more():  # benchmarks/neat_xor.py has all hundred
    check_that_xor_is_solved_as_in_the_paper(range(10, 30))


def test_fitness_is_the_papers():
    space = NetworkSpace()
    nothing = Genotype.of("network", 1, {"connections": [], "nodes": {}})
    (measurement,) = LogicEvaluator(space).evaluate(Trial(0, Proposal(nothing), 0))
    assert measurement.metrics == {"fitness": 4.0, "solved": 0.0}  # every output is .5: (4 - 2)^2
