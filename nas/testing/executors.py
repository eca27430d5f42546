"""The laws of executors."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.record import InMemory, Record
from nas.core.search import Decision, Hooks, Limits, Search
from nas.core.trial import Measurement, Trial
from nas.executors.inline import Inline
from nas.strategies.evolution import Evolution
from nas.strategies.random import Random
from nas.testing.toys import (
    LOSS,
    DeadlyEvaluator,
    Death,
    MeetingEvaluator,
    ToyEvaluator,
    ToySpace,
    every_failure,
)


class Diary(InMemory):
    """A record that counts the retries of each trial."""

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()  # as a study has: it cannot be sent to another process
        self.retries: Counter[int] = Counter()

    def record_retry(self, trial: Trial, reason: str) -> None:
        """Count it."""
        assert reason
        self.retries[trial.number] += 1


class Stopping(Search):
    """Stops trial 3 after its first epoch."""

    def report(self, trial: Trial, measurement: Measurement) -> Decision:
        """Stop or go on."""
        decision = super().report(trial, measurement)
        return "stop" if trial.number == 3 else decision


def toy_search(
    kind: type[Search] = Search,
    trials: int = 12,
    *,
    record: Record | None = None,
    failures: int | None = None,
    hooks: Hooks | None = None,
) -> Search:
    """Evolution on the toys."""
    space, limits = ToySpace(), Limits(trials, failures)
    strategy = Evolution(space, seed=1, trials=12)
    return kind(space, strategy, (LOSS,), record or InMemory(), seed=1, limits=limits, hooks=hooks)


class ExecutorContract:
    """Subclass it and give `make`."""

    def make(self) -> Any:
        """A new executor with one worker."""
        raise NotImplementedError

    def _run(self, evaluator: Evaluator, **options: Any) -> Search:
        search = toy_search(**options)
        shown: list[Trial] = []
        self.make().run(search, evaluator, shown.append)
        assert [trial.number for trial in shown] == [trial.number for trial in search.ended]
        return search

    def test_one_worker_runs_every_trial_in_order_to_the_same_values(self) -> None:
        here = toy_search()
        Inline().run(here, ToyEvaluator(ToySpace()), lambda trial: None)
        search = self._run(ToyEvaluator(ToySpace()))
        assert [trial.number for trial in search.ended] == list(range(12))
        assert all(trial.outcome is not None and trial.outcome.kind == "complete" for trial in search.ended)
        assert search.ended == here.ended

    def test_whatever_a_candidate_does_is_an_outcome_with_its_reason(self) -> None:
        search = self._run(ToyEvaluator(ToySpace(), failing=every_failure()))
        kinds = {trial.number: trial.outcome.kind for trial in search.ended if trial.outcome is not None}
        assert len(kinds) == 12
        assert [kinds[number] for number in (1, 2, 4, 5, 6, 7)] == [
            "diverged",
            "out_of_memory",
            "failed",
            "failed",
            "out_of_memory",
            "collapsed",
        ]
        assert all(trial.outcome.reason for trial in search.ended if trial.outcome and trial.outcome.failed)
        assert search.failures == 6

    def test_what_the_user_got_wrong_is_raised(self) -> None:
        wrong = UserError("--device", "cuda", "cpu")
        with pytest.raises(UserError, match="--device"):
            self._run(ToyEvaluator(ToySpace(), failing={3: wrong}))

    @pytest.mark.parametrize("when", ["asked", "measured"])
    def test_a_fault_of_the_record_is_not_blamed_on_the_candidate(self, when: str) -> None:
        class FullDisk(InMemory):
            def record_ask(self, trial: Trial, event: int) -> None:
                if when == "asked":
                    raise OSError(28, "No space left on device")

            def record_measurement(self, trial: Trial, measurement: Measurement) -> None:
                raise OSError(28, "No space left on device")

        search = Search(ToySpace(), Random(ToySpace(), seed=0, trials=2), (LOSS,), FullDisk(), seed=0, limits=Limits(2))
        with pytest.raises(OSError, match="No space"):
            self.make().run(search, ToyEvaluator(ToySpace()), lambda trial: None)
        assert search.ended == []

    def test_it_ends_after_too_many_failures(self) -> None:
        failing: dict[int, Exception] = {number: RuntimeError("no") for number in range(12)}
        search = self._run(ToyEvaluator(ToySpace(), failing=failing), failures=3)
        assert search.failures == 4

    def test_a_trial_that_the_search_stops_is_stopped(self) -> None:
        search = self._run(ToyEvaluator(ToySpace(), epochs=5), kind=Stopping)
        kinds = {trial.number: (trial.outcome.kind, len(trial.measurements)) for trial in search.ended if trial.outcome}
        assert kinds == {number: ("stopped", 1) if number == 3 else ("complete", 5) for number in range(12)}

    def test_what_an_evaluator_does_before_it_measures_is_the_candidates_as_well(self) -> None:
        class Refusing(ToyEvaluator):
            def evaluate(self, trial: Trial) -> Any:
                raise ValueError("not this one")

        search = self._run(Refusing(ToySpace()), trials=2)
        assert [trial.outcome.reason for trial in search.ended if trial.outcome] == ["ValueError: not this one"] * 2


class ProcessExecutorContract(ExecutorContract):
    """Of executors whose candidates run in processes of their own. Give `make_with`."""

    def make_with(self, *, workers: int, retries: int = 1, trial_timeout: float | None = None) -> Any:
        """A new executor with these options."""
        raise NotImplementedError

    def make(self) -> Any:
        """A new executor with one worker."""
        return self.make_with(workers=1)

    def test_two_workers_run_two_trials_at_once_and_every_trial_once(self, tmp_path: Path) -> None:
        diary = Diary()
        search = toy_search(record=diary)
        self.make_with(workers=2).run(search, MeetingEvaluator(ToySpace(), tmp_path), lambda trial: None)
        assert sorted(trial.number for trial in search.ended) == list(range(12))
        assert all(trial.outcome and trial.outcome.kind == "complete" for trial in search.ended)
        assert all([m.epoch for m in trial.measurements] == [1, 2] for trial in search.ended)
        events = [event.number for event in diary.events]
        assert events == list(range(24))
        resumed = toy_search(record=InMemory(diary.events))  # a ReplayMismatch, if the order were another
        assert [trial.number for trial in resumed.ended] == [trial.number for trial in search.ended]
        for cut in range(24):
            again = toy_search(record=InMemory(diary.events[:cut]))
            asked = [event.trial for event in diary.events[:cut] if event.kind == "ask"]
            told = {event.trial.number for event in diary.events[:cut] if event.kind == "tell"}
            running = [trial for trial in asked if trial.number not in told]
            begun = [again.next() for _ in running]
            assert [(t.number, t.seed) for t in begun if t] == [(t.number, t.seed) for t in running]

    def test_however_a_candidate_ends_its_process_the_search_goes_on(self, tmp_path: Path) -> None:
        deaths: dict[int, Death] = {1: "kill", 2: "hang", 3: "memory", 4: "nan", 5: "exits once"}
        diary = Diary()
        search = toy_search(record=diary, trials=8)
        evaluator = DeadlyEvaluator(ToySpace(), tmp_path, deaths)
        self.make_with(workers=2, trial_timeout=2).run(search, evaluator, lambda trial: None)
        ended = {trial.number: trial for trial in search.ended}
        kinds = {number: trial.outcome.kind for number, trial in ended.items() if trial.outcome}
        died = {1: "failed", 2: "failed", 3: "out_of_memory", 4: "diverged"}
        assert kinds == {0: "complete", **died, 5: "complete", 6: "complete", 7: "complete"}
        reasons = {number: trial.outcome.reason for number, trial in ended.items() if trial.outcome}
        assert "died" in reasons[1]
        assert "--trial-timeout" in reasons[2]
        assert diary.retries == {1: 1, 5: 1}
        assert [m.epoch for m in ended[5].measurements] == [1, 2]  # those of its second evaluation alone
        evaluations = Counter(file.name.rpartition("-")[0] for file in tmp_path.iterdir())
        again = {1: 2, 5: 2}  # with the seed that they had
        assert evaluations == {f"{n}-{trial.seed}": again.get(n, 1) for n, trial in ended.items()}
