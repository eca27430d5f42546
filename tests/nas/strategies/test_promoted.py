"""Strategies whose candidates are promoted: what the strategy is told, and what is recommended."""

import pytest

from nas.core.job import TrainRung
from nas.core.trial import Measurement, Outcome, Proposal, Trial
from nas.promotion import Asha, Hyperband
from nas.strategies.evolution import Evolution
from nas.strategies.predictor import Predictor
from nas.strategies.promoted import Promoted
from nas.strategies.random import Random
from nas.strategies.usual_first import UsualFirst
from nas.testing import StrategyContract
from nas.testing.toys import ToySpace


class TestPromotedEvolution(StrategyContract):
    landscape = 100, 5

    def make(self, space, seed, trials):
        return Promoted(Evolution(space, seed=seed, trials=trials), Asha(epochs=9, trials=trials))


class TestPromotedRandom(StrategyContract):
    beats_random = False

    def make(self, space, seed, trials):
        return Promoted(Random(space, seed=seed, trials=trials), Hyperband(epochs=9, trials=trials))


class Listening(Random):
    """Remembers what it is told."""

    def __init__(self, space):
        super().__init__(space, seed=0, trials=9)
        self.told, self.revised = [], []

    def tell(self, trial):
        self.told.append(trial)
        super().tell(trial)

    def revise(self, trial):
        self.revised.append(trial)


RULE = Asha(epochs=9, trials=9)  # rungs after 1, 3 and 9 epochs


def ended(number, proposal, *losses, kind=None):
    """The trial, with a loss after each of its epochs."""
    job = proposal.job
    measured = [(job.before + place, loss) for place, loss in enumerate(losses, 1)]
    return Trial(
        number, proposal, 0, tuple(Measurement(epoch, {"loss": loss}) for epoch, loss in measured),
        Outcome(kind or job.completion), (losses[-1] if kind is None else float("inf"),), dict(measured),
    )  # fmt: skip


def promoted(number, trial, *losses, kind=None):
    """The trial that goes on with this one."""
    return ended(number, Proposal(trial.genotype, job=RULE.advance(trial)), *losses, kind=kind)


def told(strategy, *trials):
    for trial in trials:
        strategy.tell(trial)
    return trials[-1]


def test_candidates_begin_at_the_rule_s_first_rung():
    strategy = Promoted(Random(ToySpace(), seed=0, trials=30), Hyperband(epochs=9, trials=30))
    jobs = [strategy.ask(number).job for number in range(20)]
    assert [job.bracket for job in jobs] == [0] * 9 + [1] * 5 + [2] * 3 + [3] * 3
    assert jobs[0] == TrainRung(0, 0, 3, 0, 1, 9)
    assert jobs[9] == TrainRung(1, 0, 2, 0, 3, 9)
    assert jobs[14] == TrainRung(2, 0, 1, 0, 9, 9)


def test_the_strategy_is_told_once_of_a_candidate_and_then_what_it_is_worth_further_up():
    inner = Listening(ToySpace())
    strategy = Promoted(inner, RULE)
    first = told(strategy, ended(0, strategy.ask(0), 5.0))
    second = told(strategy, promoted(3, first, 4.0, 3.0))
    told(strategy, promoted(7, second, *[2.5] * 5, 2.0))
    assert inner.told == [first]
    assert [trial.number for trial in inner.revised] == [0, 0]
    assert inner.revised[0].curve == {1: 5.0, 2: 4.0, 3: 3.0}
    assert inner.revised[1].curve == {1: 5.0, 2: 4.0, 3: 3.0, 4: 2.5, 5: 2.5, 6: 2.5, 7: 2.5, 8: 2.5, 9: 2.0}
    assert [trial.stopped for trial in inner.revised] == [True, False]
    assert [trial.losses for trial in inner.revised] == [(3.0,), (2.0,)]


def test_who_came_furthest_is_recommended_and_of_those_the_best():
    strategy = Promoted(Random(ToySpace(), seed=0, trials=9), RULE)
    first, second, third = (told(strategy, ended(n, strategy.ask(n), loss)) for n, loss in enumerate((5.0, 4.0, 0.1)))
    assert strategy.recommend() == 2
    higher = told(strategy, promoted(3, first, 3.0, 3.0))
    assert strategy.recommend() == 3  # though the third has less after fewer epochs
    told(strategy, promoted(4, second, 3.0, 2.0))
    assert strategy.recommend() == 4
    told(strategy, promoted(5, third, 1.0, kind="diverged"))
    assert strategy.recommend() == 4
    told(strategy, promoted(6, higher, *[2.9] * 6))
    assert strategy.recommend() == 6


def test_evolution_and_the_predictor_replace_what_they_were_told():
    for inner in (Evolution(ToySpace(), seed=0, trials=9), Predictor(ToySpace(), seed=0, trials=9)):
        strategy = Promoted(UsualFirst(inner, ToySpace().grow(lambda choice: choice.values[0])), RULE)
        members = inner._population if isinstance(inner, Evolution) else inner._told
        trials = []
        for number in range(3):
            trials.append(told(strategy, ended(number, strategy.ask(number), 5.0 + number)))
        before = list(members)
        told(strategy, promoted(3, trials[1], 4.0, 1.0))
        after = list(members)
        assert [trial.number for trial in after] == [trial.number for trial in before]
        assert [a.losses == b.losses for a, b in zip(after, before, strict=True)] == [t.number != 1 for t in before]


def test_a_member_that_has_died_does_not_come_back():
    inner = Evolution(ToySpace(), seed=0, trials=9, population=2, sample=2)
    strategy = Promoted(inner, RULE)
    trials = [told(strategy, ended(number, strategy.ask(number), 5.0 + number)) for number in range(3)]
    told(strategy, promoted(3, trials[0], 4.0, 1.0))
    assert [trial.number for trial in inner._population] == [1, 2]


@pytest.mark.parametrize("seed", range(2))
def test_what_was_proposed_before_a_promotion_is_proposed_again(seed):
    """Asks and tells executed again, among them those of promotions."""
    proposals = []
    for _ in range(2):
        strategy, trials = Promoted(Evolution(ToySpace(), seed=seed, trials=20), Asha(epochs=9, trials=20)), []
        for number in range(20):
            chosen = strategy._rule.promote(trials, closed=False, able=lambda number: True)
            proposal = strategy.ask(number) if chosen is None else Proposal(chosen.genotype, job=RULE.advance(chosen))
            trials.append(ended(number, proposal, *[float(number % 7)] * proposal.job.epochs))
            strategy.tell(trials[-1])
        proposals.append([trial.proposal for trial in trials])
    assert proposals[0] == proposals[1]
    assert any(proposal.job.continues is not None for proposal in proposals[0])
