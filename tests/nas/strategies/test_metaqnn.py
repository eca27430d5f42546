"""MetaQNN is Q-learning as in its paper."""

import numpy as np
import pytest

from nas.core.errors import UserError
from nas.core.trial import Proposal, Trial
from nas.strategies.metaqnn import MetaQNN
from nas.testing import StrategyContract
from nas.testing.toys import ToySpace, asked_and_told, ended, toy_loss


class TestMetaQNN(StrategyContract):
    def make(self, space, seed, trials):
        return MetaQNN(space, seed=seed, trials=trials)


LETTERS = {f"letter{i}": ("a", "b") for i in range(2)} | {f"letter{i}": ("a",) for i in range(2, 8)}


def two_letters():
    return ToySpace().restrict({**LETTERS, "letter0": ("b", "c"), "depth": (1,), "source": (0,), "rate": (0.1,)})


def grown(space, **letters):
    return space.grow(lambda choice: letters[choice.site])


def test_epsilon_falls_by_the_papers_schedule():
    paper = MetaQNN(ToySpace(), seed=0, trials=2700, schedule=2700)
    assert [paper.epsilon(n) for n in (0, 1499, 1500, 1599, 1600, 1700, 1799)] == [1, 1, 0.9, 0.9, 0.8, 0.7, 0.7]
    assert [paper.epsilon(n) for n in (1800, 1949, 1950, 2400, 2549, 2550, 2700, 9999)] == [
        0.6, 0.6, 0.5, 0.2, 0.2, 0.1, 0.1, 0.1,
    ]  # fmt: skip
    scaled = MetaQNN(ToySpace(), seed=0, trials=300)
    assert scaled.epsilon(0) == scaled.epsilon(55) == 1
    assert scaled.epsilon(100) == scaled.epsilon(299) == 0.1


def test_an_update_is_the_papers_equation():
    space = two_letters()
    strategy = MetaQNN(space, seed=0, trials=10, alpha=0.25, gamma=0.8, replays=1, shaping=False)
    first, second = ("letter0", None), ("letter1", "c")
    genotype = grown(space, letter0="c", letter1="b")
    strategy.tell(ended(Trial(0, Proposal(genotype), 0), 1.0))
    # a single result is better than none and worse than none: it counts 1/2
    assert strategy._q[second]["b"] == pytest.approx(0.75 * 0.5 + 0.25 * 0.5)
    strategy._learn([(first, "c"), (second, "b")], result=1.0)
    learned = 0.75 * 0.5 + 0.25 * 1.0
    assert strategy._q[second] == {"a": 0.5, "b": pytest.approx(learned)}
    before = 0.75 * 0.5 + 0.25 * 0.8 * 0.5  # what the first tell made of it
    assert strategy._q[first]["c"] == pytest.approx(0.75 * before + 0.25 * 0.8 * learned)  # the last step came first


def test_shaped_rewards_are_equal_parts_of_the_result_and_q_begins_with_half_of_what_is_left():
    space = two_letters()
    strategy = MetaQNN(space, seed=0, trials=10, alpha=0.5, gamma=1.0, replays=1)
    first, second = ("letter0", None), ("letter1", "c")
    strategy._list_steps(ended(Trial(0, Proposal(grown(space, letter0="c", letter1="b")), 0), 1.0))
    assert strategy._q == {first: {"b": 0.5, "c": 0.5}, second: {"a": 0.25, "b": 0.25}}
    strategy._learn([(first, "c"), (second, "b")], result=1.0)
    assert strategy._q[second] == {"a": 0.25, "b": 0.5 * 0.25 + 0.5 * 0.5}
    assert strategy._q[first]["c"] == 0.5 * 0.5 + 0.5 * (0.5 + 0.375)


def test_results_are_shares_of_worse_ones_and_failures_get_nothing():
    space, strategy = two_letters(), MetaQNN(two_letters(), seed=0, trials=10)
    for number, (letters, loss) in enumerate([("ba", 3.0), ("bb", 1.0), ("ca", 3.0), ("cb", None)]):
        genotype = grown(space, letter0=letters[0], letter1=letters[1])
        strategy.tell(ended(Trial(number, Proposal(genotype), 0), loss))
    assert strategy._measure_result(1.0) == (3 + 0.5) / 4
    assert strategy._measure_result(3.0) == (1 + 1) / 4
    assert strategy._measure_result(float("inf")) == 0


def test_q_values_find_the_best_walk():
    strategy = MetaQNN(ToySpace(), seed=0, trials=300)
    losses = []
    for number in range(300):
        proposal = strategy.ask(number)
        losses.append(toy_loss(proposal.genotype))
        strategy.tell(ended(Trial(number, proposal, 0), losses[-1]))
    assert np.mean(losses[-50:]) < np.mean(losses[:50]) - 2
    assert proposal.origin.startswith("Q-learning, epsilon")


def test_random_actions_are_usual_ones_by_default_and_uniform_where_that_is_asked_for():
    class Usual(ToySpace):
        def decide(self, ask):
            for i in range(8):
                ask.operation(f"letter{i}", "abcde", usual="c")

    def count_usual(**options):
        drawn = asked_and_told(MetaQNN(Usual(), seed=0, trials=600, schedule=10_000, **options), 60, lambda _: 1.0)
        return np.mean([value == "c" for trial in drawn for value in trial.genotype.content.values()])

    assert 0.7 < count_usual() < 0.85  # .75 + .25 / 5 = .8, less the usual genotype's repetitions
    assert 0.15 < count_usual(usual=0.0) < 0.25


@pytest.mark.parametrize("options", [{"usual": 1.5}, {"alpha": 0.0}, {"gamma": 1.5}, {"replays": 0}, {"schedule": 0}])
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match="--set"):
        MetaQNN(ToySpace(), seed=0, trials=30, **options)
