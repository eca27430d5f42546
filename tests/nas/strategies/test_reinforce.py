"""REINFORCE: the controller's policy, its gradient, and its entropy."""

from collections import Counter

import numpy as np
import pytest
import torch

from nas.core.errors import UserError
from nas.core.space import generator_for
from nas.core.trial import Trial
from nas.strategies.controller import Controller
from nas.strategies.reinforce import Reinforce
from nas.strategies.rewards import Ranks
from nas.testing import StrategyContract
from nas.testing.toys import ToySpace, asked_and_told, ended, toy_loss


class TestReinforce(StrategyContract):
    def make(self, space, seed, trials):
        return Reinforce(space, seed=seed, trials=trials)


def skewed(strategy):
    """Make the policy prefer some answers, so that its entropy can rise."""
    walks = [strategy._controller.draw(ToySpace(), generator_for(8, n), lambda genotype: False)[1] for n in range(3)]
    for _ in range(20):
        strategy._controller.descend(-strategy._controller.evaluate(walks)[0].sum())
    return walks


def test_the_entropy_bonus_raises_entropy_and_without_it_equal_rewards_move_nothing():
    changes = {}
    for weight in (0.0, 0.2):
        strategy = Reinforce(ToySpace(), seed=0, trials=40, entropy=weight, duplicates=True)
        skewed(strategy)
        walks = [strategy._controller.draw(ToySpace(), generator_for(9, n), lambda g: False)[1] for n in range(30)]
        before = strategy._controller.evaluate(walks)[1].mean().item()
        # a result like all others has the middle rank: its advantage is 0
        asked_and_told(strategy, 40, lambda genotype: 1.0)
        changes[weight] = strategy._controller.evaluate(walks)[1].mean().item() - before
    assert changes[0.0] == pytest.approx(0, abs=1e-9)
    assert changes[0.2] > 0.05


def test_a_good_result_becomes_likelier_and_a_bad_one_less_likely():
    strategy = Reinforce(ToySpace(), seed=0, trials=8, batch=2, entropy=0.0)
    proposals = [strategy.ask(number) for number in range(2)]
    walks = [strategy._running[number] for number in range(2)]
    before = strategy._controller.evaluate(walks)[0].detach()
    for number, loss in enumerate((0.0, 5.0)):
        strategy.tell(ended(Trial(number, proposals[number], 0), loss))
    after = strategy._controller.evaluate(walks)[0].detach()
    assert after[0] > before[0]
    assert after[1] < before[1]


def test_a_proposal_says_with_what_probabilities_it_was_drawn():
    strategy = Reinforce(ToySpace(), seed=2, trials=8)
    proposals = [strategy.ask(number) for number in range(4)]
    walks = [strategy._running[number] for number in range(4)]
    known = strategy._controller.evaluate(walks)[0].tolist()
    for proposal, log_probability in zip(proposals, known, strict=True):
        decisions = {d.choice.site: str(d.value) for d in ToySpace().trace(proposal.genotype)}
        assert list(proposal.policy) == list(decisions)
        assert all(abs(sum(row.values()) - 1) < 1e-3 for row in proposal.policy.values())
        chosen = [proposal.policy[site][value] for site, value in decisions.items()]
        assert np.log(chosen).sum() == pytest.approx(log_probability, abs=1e-2)


def test_the_gradient_is_the_papers():
    """Of a batch: sum of (R - b) grad log pi, and no gradient passes through R - b."""
    strategy = Reinforce(ToySpace(), seed=3, trials=8, batch=4, entropy=0.0)
    walks = [strategy._controller.draw(ToySpace(), generator_for(1, n), lambda g: False)[1] for n in range(4)]
    rewards, strategy._baseline = [0.5, -0.2, 1.0, 0.1], 0.3
    head = strategy._controller._heads["letter0"]
    expected = torch.zeros_like(head)
    for walk, reward in zip(walks, rewards, strict=True):
        (gradient,) = torch.autograd.grad(strategy._controller.evaluate([walk])[0].sum(), head)
        expected += (reward - 0.3) * gradient
    before = head.detach().clone()
    strategy._update(walks, rewards)
    assert torch.allclose(head.detach() - before, 0.5 * expected, atol=1e-9)  # 0.5: the learning rate
    assert strategy._baseline == pytest.approx(0.9 * 0.3 + 0.1 * np.mean(rewards))


def test_the_probability_of_a_walk_is_that_it_was_drawn_with():
    controller = Controller(seed=0, hidden=16, learning_rate=0.1)
    space = ToySpace()
    drawn = [controller.draw(space, generator_for(0, n), lambda genotype: False) for n in range(20)]
    walks = [walk for _, walk in drawn]
    recomputed = controller.evaluate(walks)[0].tolist()
    assert recomputed == pytest.approx([walk.log_probability for walk in walks])
    for genotype, walk in drawn:
        asked = [choice.site for choice, _ in walk.tokens]
        assert set(asked) == set(genotype.content)  # the rate is asked for only where it arises


class Practitioners(ToySpace):
    """A toy that says what is usual of its letters, but not of its depth."""

    def decide(self, ask):
        for number, usual in enumerate("abcdeabc"):
            ask.operation(f"letter{number}", "abcde", usual=usual)
        ask.structure("depth", (1, 2, 3, 4), ordered=True)


@pytest.mark.parametrize("usual", [0.0, 0.5, 0.9])
def test_an_untrained_controller_prefers_what_is_usual_as_much_as_it_is_told(usual):
    """With probability `usual`, and else all values are as likely as each other; the heads add little of theirs."""
    controller = Controller(seed=0, hidden=32, learning_rate=0.5, usual=usual)
    drawn = [controller.draw(Practitioners(), generator_for(0, n), lambda g: False)[0].content for n in range(400)]
    letters = np.array([[content[f"letter{i}"] == "abcdeabc"[i] for i in range(8)] for content in drawn])
    assert letters.mean() == pytest.approx(usual + (1 - usual) / 5, abs=0.04)
    depths = Counter(content["depth"] for content in drawn)
    assert min(depths.values()) > 60


def test_where_nothing_is_usual_the_option_changes_nothing():
    space = ToySpace().restrict({"source": (0,)})  # of an input the node before is usual
    histories = [asked_and_told(Reinforce(space, seed=0, trials=30, usual=usual), 30) for usual in (0.0, 0.5)]
    assert histories[0] == histories[1]


def test_what_is_known_is_drawn_no_more_and_the_rest_in_proportion():
    fixed = {f"letter{i}": ("a",) for i in range(8)}
    space = ToySpace().restrict({**fixed, "source": (0,)})  # four depths
    controller = Controller(seed=0, hidden=8, learning_rate=0.1)
    first = controller.draw(space, generator_for(5, 0), lambda genotype: False)[0]
    counts = Counter(
        controller.draw(space, generator_for(6, n), lambda genotype: genotype == first)[0].content["depth"]
        for n in range(600)
    )
    assert first.content["depth"] not in counts
    assert len(counts) == 3
    assert max(counts.values()) < 2 * min(counts.values())  # the policy is nearly uniform before it has learned
    assert controller.draw(space, generator_for(7, 0), lambda genotype: True) is None


def test_a_policy_that_has_settled_still_proposes_what_is_new():
    strategy = Reinforce(ToySpace(), seed=0, trials=60)
    favourite = strategy.ask(0)
    walk = strategy._running[0]
    for _ in range(100):
        strategy._controller.descend(-strategy._controller.evaluate([walk])[0].sum())
    assert strategy._controller.evaluate([walk])[0].exp().item() > 0.9
    proposed = [strategy.ask(number).genotype for number in range(1, 30)]
    assert len({favourite.genotype, *proposed}) == 30


def test_torch_computes_with_as_many_threads_as_before():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        asked_and_told(Reinforce(ToySpace(), seed=0, trials=8), 8, toy_loss)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_it_learns_the_toy_landscape():
    strategy = Reinforce(ToySpace(), seed=0, trials=300)
    losses = [trial.losses[0] for trial in asked_and_told(strategy, 300)]
    assert np.mean(losses[-50:]) < np.mean(losses[:50]) - 2


def test_ranks_as_rewards_do_not_depend_on_scale_and_put_failures_last():
    ranks = Ranks()
    for loss in (3.0, float("inf"), 1.0, 1000.0, 3.0):
        ranks.add(loss)
    assert ranks.rank(1.0) == 0.9
    assert ranks.rank(3.0) == pytest.approx(0.6)
    assert ranks.rank(float("inf")) == pytest.approx(0.1)


@pytest.mark.parametrize(
    "options", [{"learning_rate": 0.0}, {"batch": 0}, {"entropy": -1.0}, {"decay": 1.0}, {"hidden": 0}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(UserError, match="--set"):
        Reinforce(ToySpace(), seed=0, trials=30, **options)
