"""The search as a state machine, without training."""

import itertools
from dataclasses import replace

import pytest

from nas.core.errors import ReplayMismatch
from nas.core.job import TrainSupernet
from nas.core.record import InMemory
from nas.core.search import Hooks, Limits, Search
from nas.core.supernet import SupernetPlan
from nas.core.trial import Measurement, Outcome, Start
from nas.executors.inline import Inline
from nas.strategies.evolution import Evolution
from nas.testing import ExecutorContract
from nas.testing.toys import LOSS, ToyEvaluator, ToySpace


class TestInline(ExecutorContract):
    def make(self):
        return Inline()


def search(trials=10, seed=0, record=None, hooks=None, **limits):
    space = ToySpace()
    strategy = Evolution(space, seed=seed, trials=10)
    limits = Limits(trials, **limits)
    return Search(space, strategy, (LOSS,), record or InMemory(), seed=seed, limits=limits, hooks=hooks)


def run(machine):
    Inline().run(machine, ToyEvaluator(ToySpace()), lambda trial: None)
    return [trial.genotype.id for trial in machine.ended]


@pytest.mark.parametrize("cut", range(0, 21))
def test_resuming_after_any_event_goes_on_as_if_nothing_had_happened(cut):
    diary = InMemory()
    whole = run(search(record=diary))
    resumed = search(record=InMemory(diary.events[:cut]))
    assert run(resumed) == whole
    assert [trial.number for trial in resumed.ended] == list(range(10))


def test_a_resumed_trial_keeps_its_seed():
    diary = InMemory()
    machine = search(record=diary)
    first = machine.next()
    again = search(record=InMemory(diary.events)).next()
    assert (again.number, again.seed, again.genotype) == (first.number, first.seed, first.genotype)


def test_another_strategy_is_not_resumed():
    diary = InMemory()
    run(search(record=diary))
    with pytest.raises(ReplayMismatch, match="trial 0"):
        search(seed=1, record=InMemory(diary.events))


def test_trials_can_run_at_once_and_end_in_any_order():
    machine = search()
    running = [machine.next() for _ in range(4)]
    for trial in reversed(running):
        machine.report(trial, Measurement(1, {"loss": 1.0}))
        machine.end(trial, Outcome("complete"))
    assert [trial.number for trial in machine.ended] == [3, 2, 1, 0]


def test_an_unmeasured_objective_is_a_failure():
    machine = search()
    trial = machine.next()
    machine.report(trial, Measurement(1, {"other": 1.0}))
    ended = machine.end(trial, Outcome("complete"))
    assert ended.outcome.failed
    assert "loss" in ended.outcome.reason


def test_a_supernet_is_no_candidate_and_needs_not_all_objectives():
    machine = search()
    trial = machine.next()
    trial = replace(trial, proposal=replace(trial.proposal, job=TrainSupernet(SupernetPlan(epochs=2))))
    machine._running[trial.number] = trial
    machine.report(trial, Measurement(1, {"other": 1.0}))
    assert machine.end(trial, Outcome("complete")).outcome == Outcome("supernet")


def test_a_metric_that_is_not_finite_is_a_divergence():
    class NotANumber(ToyEvaluator):
        def evaluate(self, trial):
            yield Measurement(1, {"loss": float("nan")})

    machine = search(trials=2)
    Inline().run(machine, NotANumber(ToySpace()), lambda trial: None)
    assert [trial.outcome.kind for trial in machine.ended] == ["diverged", "diverged"]
    assert machine.best is None


def test_no_trial_begins_after_the_time_limit():
    clock = itertools.count().__next__
    machine = search(over=lambda: clock() >= 4)
    assert 0 < len(run(machine)) < 10


def test_a_seed_of_a_trial_depends_on_its_number_and_the_runs_seed():
    seeds = {machine.next().seed for machine in (search(), search(seed=1)) for _ in range(3)}
    assert len(seeds) == 6


def test_a_trial_begins_from_what_the_search_is_told_also_when_it_runs_again():
    def first_of(trial, search):
        return Start(0, trial.genotype, b"tensors") if trial.number else None

    diary = InMemory()
    machine = search(record=diary, hooks=Hooks(start=first_of))
    begun = [machine.next(), machine.next()]
    assert [trial.start for trial in begun] == [None, Start(0, begun[1].genotype, b"tensors")]
    machine.report(begun[1], Measurement(1, {"loss": 1.0}))
    assert machine.end(begun[1], Outcome("complete")).start is None  # the search holds no tensors
    assert [event.trial.start for event in diary.events] == [None] * 3
    again = search(record=InMemory(diary.events[:2]), hooks=Hooks(start=first_of))
    assert [again.next().start for _ in range(2)] == [trial.start for trial in begun]


def test_files_are_the_records_not_the_searchs():
    class Drawing(ToyEvaluator):
        def evaluate(self, trial):
            for measurement in super().evaluate(trial):
                yield Measurement(measurement.epoch, measurement.metrics, {"picture.png": b"x" * 1000})

    class Keeping(InMemory):
        files = 0

        def record_measurement(self, trial, measurement):
            self.files += len(measurement.artifacts)

    record = Keeping()
    machine = search(record=record)
    Inline().run(machine, Drawing(ToySpace()), lambda trial: None)
    assert record.files > 0
    assert not any(measurement.artifacts for trial in machine.ended for measurement in trial.measurements)
