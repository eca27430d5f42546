"""Promotion: who goes on at which rung, as the papers' algorithms say, and who never will."""

import itertools
import math

import numpy as np
import pytest

from nas.core.errors import UserError
from nas.core.trial import Outcome, Proposal, Trial
from nas.promotion import Asha, Hyperband
from nas.promotion.rungs import find_promotable, group_by_rung
from nas.testing.toys import ToySpace

GENOTYPE = ToySpace().grow(lambda choice: choice.values[0])


class Race:
    """Trials of a rule, each with a loss that its candidate has at its rung."""

    def __init__(self, rule):
        self.rule, self.trials, self.gone = rule, [], set()

    def _add(self, job, loss):
        kind = "diverged" if loss == math.inf else None if loss is None else job.completion
        outcome, losses = (None, ()) if kind is None else (Outcome(kind), (loss,))
        self.trials.append(Trial(len(self.trials), Proposal(GENOTYPE, job=job), 0, outcome=outcome, losses=losses))
        return self.trials[-1]

    def begin(self, *losses):
        """New candidates that come to their first rungs with these losses; None still runs."""
        for loss in losses:
            index = sum(trial.job.counted for trial in self.trials)
            self._add(self.rule.begin(index), loss)

    def chosen(self, closed=False):
        return self.rule.promote(self.trials, closed=closed, able=lambda number: number not in self.gone)

    def promote(self, loss, closed=False):
        """The candidate that is promoted and comes to its next rung with this loss, and that rung."""
        chosen = self.chosen(closed)
        made = self._add(self.rule.advance(chosen), loss)
        return made.candidate, made.job.rung

    def end(self, number, loss):
        old = self.trials[number]
        self.trials[number] = Trial(number, old.proposal, 0, outcome=Outcome(old.job.completion), losses=(loss,))


def test_rungs_divide_the_epochs_from_the_last_one_down():
    assert Asha(epochs=27, trials=30).rungs == (3, 9, 27)
    assert Asha(epochs=21, trials=30).rungs == (2, 7, 21)
    assert Asha(epochs=27, trials=30, first=1).rungs == (1, 3, 9, 27)
    assert Asha(epochs=27, trials=8).rungs == (9, 27)  # of eight candidates none would come to a third
    assert Asha(epochs=16, trials=30, reduction=2).rungs == (4, 8, 16)
    assert Asha(epochs=3, trials=30).rungs == (1, 3)


def test_the_parts_of_a_training_follow_one_another():
    race = Race(Asha(epochs=27, trials=9))
    race.begin(*range(9))
    for _ in range(4):
        race.promote(0.0)
    job = race.trials[-1].job
    assert (job.rung, job.before, job.epochs, job.horizon, job.settles) == (2, 9, 18, 27, True)
    assert [t.job.completion for t in race.trials] == ["stopped"] * 9 + ["stopped"] * 3 + ["complete"]


def test_asha_promotes_as_in_the_papers_algorithm():
    """Worked by hand with eta = 3: of the n that came to a rung, the best floor(n / 3) are promotable."""
    race = Race(Asha(epochs=9, trials=30))
    race.begin(5.0, 3.0)
    assert race.chosen() is None  # floor(2 / 3) is none
    race.begin(4.0)
    assert race.promote(2.5) == (1, 1)  # the best of 5, 3, 4
    assert race.chosen() is None
    race.begin(1.0)
    assert race.promote(2.0) == (4, 1)  # the one that is the best of four now; candidate 1 stays promoted
    race.begin(6.0)
    assert race.chosen() is None  # still one of five, which has gone
    race.begin(2.0)
    assert race.promote(3.0) == (7, 1)  # the second of two of six
    assert race.promote(0.5) == (4, 2)  # rung 1 has 2.5, 2 and 3: the higher rung comes first
    race.begin(2.8, 8.0)
    assert race.chosen() is None  # 2.8 is the third, and two of eight are promotable
    race.begin(9.0)
    assert race.promote(9.0) == (10, 1)  # who was overtaken at first is promoted once enough have come
    assert race.chosen() is None
    assert race.chosen(closed=True) is None


def test_asha_looks_at_the_highest_rung_first_and_waits_for_nobody():
    race = Race(Asha(epochs=9, trials=30))
    race.begin(*[float(n) for n in range(9)])
    assert [race.promote(float(n)) for n in range(3)] == [(0, 1), (1, 1), (2, 1)]
    race.begin(*[0.5] * 3)  # so that a candidate at the lowest rung is promotable as well
    assert race.promote(None) == (0, 2)
    assert race.promote(None)[1] == 1  # though the last runs


def test_what_failed_is_never_promoted_and_counts_among_those_that_came():
    for rule in (Asha(epochs=9, trials=30), Hyperband(epochs=9, trials=30)):
        race = Race(rule)
        race.begin(*[math.inf] * 8, 1.0)
        assert race.promote(math.inf) == (8, 1)
        assert race.chosen(closed=True) is None


def test_what_has_no_checkpoint_is_passed_over():
    for rule in (Asha(epochs=9, trials=30), Hyperband(epochs=9, trials=30)):
        race = Race(rule)
        race.begin(*[float(n) for n in range(9)])
        race.gone = {0, 2}
        assert race.promote(0.0) == (1, 1)
        assert race.chosen() is None


def test_several_objectives_are_ranked_by_fronts():
    race = Race(Asha(epochs=9, trials=30))
    race.begin(2.0, 1.0, 3.0)
    by_front = [(2.0, 0.0), (1.0, 9.0), (3.0, 1.0)]
    race.trials = [
        Trial(t.number, t.proposal, 0, outcome=t.outcome, losses=losses)
        for t, losses in zip(race.trials, by_front, strict=True)
    ]
    assert race.chosen().number == 1  # the first two are a front, of which it has the least first loss


def test_hyperbands_brackets_are_those_of_the_paper():
    rule = Hyperband(epochs=81, trials=200, first=1)
    assert rule.sizes == [81, 34, 15, 8, 5]  # ceil((s_max + 1) eta^s / (s + 1))
    assert [rule.begin(index).epochs for index in (0, 80, 81, 114, 115, 129, 130, 137, 138, 142, 143)] == [
        1, 1, 3, 3, 9, 9, 27, 27, 81, 81, 1,
    ]  # fmt: skip
    assert rule.begin(142).completion == "complete"
    assert [rule.begin(index).bracket for index in (0, 81, 142, 143)] == [0, 1, 4, 5]


def test_hyperband_halves_a_bracket_once_all_have_come():
    race = Race(Hyperband(epochs=9, trials=30))
    assert race.rule.sizes == [9, 5, 3]
    race.begin(*[float(n) for n in range(8)], None)
    assert race.chosen() is None
    race.begin(0.0)  # one of the next bracket, while the last of the first runs
    assert race.trials[9].job.bracket == 1
    race.end(8, 0.5)
    assert [race.promote(loss) for loss in (3.0, 2.0)] == [(0, 1), (8, 1)]
    assert race.promote(None) == (1, 1)
    assert race.chosen() is None  # the rung is not full
    race.end(12, 1.0)
    assert race.promote(0.0) == (1, 2)
    assert race.chosen() is None
    race.begin(*[1.0] * 4)
    assert race.promote(0.0) == (9, 1)  # floor(5 / 3), to the last rung: of the second bracket there are two
    assert race.trials[-1].job.settles


def test_the_bracket_that_was_being_filled_goes_on_where_no_more_come():
    race = Race(Hyperband(epochs=9, trials=30))
    race.begin(*[float(n) for n in range(7)])
    assert race.chosen() is None
    assert [race.promote(float(n), closed=True) for n in range(2)] == [(0, 1), (1, 1)]
    assert race.chosen(closed=True) is None


def finish(rule, trials, workers, seed, check):
    """A whole race with so many workers, in which they end in random order; `check` sees every moment."""
    generator = np.random.default_rng(seed)
    race, running = Race(rule), []
    while True:
        begun = sum(trial.job.counted for trial in race.trials)
        chosen = race.chosen(closed=begun == trials) if len(running) < workers else None
        if chosen is not None:
            check(race, chosen)
            race._add(race.rule.advance(chosen), None)
            running.append(race.trials[-1].number)
        elif begun < trials and len(running) < workers:
            race.begin(None)
            running.append(race.trials[-1].number)
        elif running:
            number = running.pop(int(generator.integers(len(running))))
            race.end(number, math.inf if generator.random() < 0.1 else float(generator.random()))
        else:
            return race


@pytest.mark.parametrize(("seed", "workers"), list(itertools.product(range(6), (1, 4))))
@pytest.mark.parametrize("kind", [Asha, Hyperband])
def test_who_is_promoted_was_among_those_that_might_be_all_the_time(kind, seed, workers):
    gone = set()

    def check(race, chosen):
        assert chosen.number not in gone
        needed = race.rule.find_needed(race.trials, 40)
        assert chosen.number in needed
        gone.update(trial.number for trial in race.trials if trial.outcome is not None and trial.number not in needed)

    rule = kind(epochs=27, trials=40, first=1)
    race = finish(rule, 40, workers, seed, check)
    assert rule.find_needed(race.trials, 40) == set()
    assert len(gone) > 20
    assert any(trial.job.settles for trial in race.trials)
    again = finish(kind(epochs=27, trials=40, first=1), 40, workers, seed, lambda race, chosen: None)
    assert again.trials == race.trials


def test_a_trial_that_may_still_be_overtaken_into_the_best_is_kept():
    race = Race(Asha(epochs=9, trials=30))
    race.begin(1.0, 2.0, 3.0, 4.0)
    race.promote(0.0)
    (rungs,) = group_by_rung(race.trials).values()
    assert find_promotable(rungs, 3, 30) == {1, 2, 3, 4}  # who was promoted may go on from the next rung
    assert find_promotable(rungs, 3, 6) == {1, 4}
    assert find_promotable(rungs, 3, 4) == set()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 2}, r"--epochs 2: --promotion .* needs two rungs; allowed: 3 or more"),
        ({"epochs": 9, "reduction": 1}, r"--set reduction 1.*2 or more"),
        ({"epochs": 9, "first": 4}, r"--set first 4.*1 to 3"),
        ({"epochs": 9, "first": 0}, r"--set first 0.*1 to 3"),
    ],
)
@pytest.mark.parametrize("kind", [Asha, Hyperband])
def test_what_leaves_no_two_rungs_is_refused(kind, options, message):
    with pytest.raises(UserError, match=message):
        kind(trials=30, **options)
