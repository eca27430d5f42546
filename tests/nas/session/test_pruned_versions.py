"""Pruned versions in a search: which are made, that the strategy does not see them, and that none is lost."""

import itertools
from types import SimpleNamespace

import pytest

from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.job import PruneChannels, Train
from nas.core.record import InMemory
from nas.core.search import Hooks, Limits, Search
from nas.core.trial import Outcome, Proposal, Trial
from nas.executors.inline import Inline
from nas.strategies.evolution import Evolution
from nas.study.pruned_versions import find_unpruned, format_percent, make_follow_up
from nas.testing.toys import LOSS, ToyEvaluator, ToySpace

GENOTYPE = Genotype.of("toy", 1, {})


def trial(number, losses=(1.0,), prune=None, parents=(), kind="complete"):
    outcome = None if kind is None else Outcome(kind)
    job = Train() if prune is None else PruneChannels(prune)
    return Trial(number, Proposal(GENOTYPE, parents, job=job), 0, outcome=outcome, losses=losses)


def made(ratios, trials, asked=(), best=None, objectives=1, kept=lambda number: True):
    best = None if best is None else trials[best]
    search = SimpleNamespace(begun=trials, best=best, objectives=(LOSS,) * objectives)
    proposal = make_follow_up(ratios, dict(asked), kept)(search)
    return None if proposal is None else (proposal.parents, proposal.job.ratio, proposal.origin)


def test_each_version_is_made_from_the_one_before():
    whole = [trial(0), trial(1)]
    assert made((0.5, 0.7), whole, best=1) == ((1,), 0.5, "pruned 50% of trial 1")
    half = trial(2, prune=0.5, parents=(1,))
    assert made((0.5, 0.7), [*whole, half], best=1) == ((2,), 0.7, "pruned 70% of trial 1")
    most = trial(3, prune=0.7, parents=(2,))
    assert made((0.5, 0.7), [*whole, half, most], best=1) is None
    assert find_unpruned(most, [*whole, half, most]) == 1
    assert made((), whole, asked={0: (0.25,)}, best=1) == ((0,), 0.25, "pruned 25% of trial 0")


@pytest.mark.parametrize("kind", [None, "failed"])
def test_nothing_is_made_of_a_version_that_runs_or_failed(kind):
    assert made((0.5, 0.7), [trial(0), trial(1, prune=0.5, parents=(0,), kind=kind)], best=0) is None


def test_of_several_objectives_the_front_is_pruned_and_versions_are_not():
    trials = [trial(0, (1.0, 9.0)), trial(1, (2.0, 8.0)), trial(2, (3.0, 9.0)), trial(3, (0.5, 1.0), 0.5, (0,))]
    assert made((0.5,), trials, objectives=2) == ((1,), 0.5, "pruned 50% of trial 1")


def test_what_has_left_no_weights_is_not_pruned(caplog):
    assert made((0.5,), [trial(0)], best=0, kept=lambda number: False) is None
    assert "its weights were not kept" in caplog.text


def test_ratios_are_said_as_percentages():
    assert [format_percent(ratio) for ratio in (0.5, 0.55, 1 / 3)] == ["50%", "55%", "33.3%"]


@pytest.mark.parametrize("given", ["0", "1", "0.5,1.5", "half", "0.5,0.5", "nan", "-0.1", "", [0.5, True]])
def test_ratios_outside_of_nothing_and_all_are_refused(given):
    with pytest.raises(UserError, match=r"--prune .* between 0 and 1"):
        RunConfig.checked({"prune": given})


def test_ratios_rise():
    assert RunConfig.checked({"prune": "0.7, 0.5"}).prune == [0.5, 0.7]
    assert RunConfig.checked({"prune": 0.5}).prune == [0.5]


class Watched(Evolution):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.seen = []

    def ask(self, number):
        self.seen.append(("ask", number))
        return super().ask(number)

    def tell(self, trial):
        self.seen.append(("tell", trial.number))
        super().tell(trial)


def searched(trials=6, ratios=(0.5, 0.7), record=None):
    space = ToySpace()
    strategy = Watched(space, seed=0, trials=10)
    hooks = Hooks(follow_up=make_follow_up(ratios, {}, lambda number: True))
    machine = Search(space, strategy, (LOSS,), record or InMemory(), seed=0, limits=Limits(trials), hooks=hooks)
    Inline().run(machine, ToyEvaluator(space), lambda trial: None)
    assert machine.finished
    return machine, strategy.seen


def described(machine):
    return [(t.number, t.seed, t.genotype.id, t.job, t.proposal.parents) for t in machine.ended]


@pytest.mark.parametrize("cut", range(0, 17, 2))
def test_whenever_it_is_interrupted_the_same_versions_are_made_once(cut):
    diary = InMemory()
    whole, seen = searched(record=diary)
    best = whole.best.number
    assert [t.job for t in whole.ended] == [Train()] * 6 + [PruneChannels(0.5), PruneChannels(0.7)]
    assert [t.proposal.parents for t in whole.ended[6:]] == [(best,), (6,)]
    assert {number for _, number in seen} == set(range(6))  # the strategy sees none of them
    resumed, again = searched(record=InMemory(diary.events[:cut]))
    assert described(resumed) == described(whole)
    assert again == seen


def test_a_search_that_gets_more_trials_goes_on_after_the_versions():
    diary = InMemory()
    searched(record=diary)
    longer, seen = searched(trials=9, record=InMemory(diary.events))
    assert [number for kind, number in seen if kind == "ask"] == [*range(6), 8, 9, 10]
    assert [t.number for t in longer.ended] == list(range(len(longer.ended)))
    versions = itertools.groupby(sorted(find_unpruned(t, longer.ended) for t in longer.ended if not t.job.counted))
    assert all(len(list(own)) == 2 for _, own in versions)
