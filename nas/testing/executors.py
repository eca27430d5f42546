"""The laws of executors."""

from __future__ import annotations

from typing import Any

import pytest

from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.trial import Measurement, Trial
from nas.loop import InMemory, Search
from nas.strategies.evolution import Evolution
from nas.strategies.random import Random
from nas.testing.toys import LOSS, ToyEvaluator, ToySpace, every_failure


class ExecutorContract:
    """Subclass it and give `make`."""

    def make(self) -> Any:
        """A new executor with one worker."""
        raise NotImplementedError

    def _run(self, evaluator: Evaluator, trials: int = 12, max_failures: int | None = None) -> Search:
        space = ToySpace()
        strategy = Evolution(space, seed=1, trials=trials)
        search = Search(
            space, strategy, (LOSS,), InMemory(), seed=1, trials=trials, max_failures=max_failures
        )  # fmt: skip
        shown: list[Trial] = []
        self.make().run(search, evaluator, shown.append)
        assert [trial.number for trial in shown] == [trial.number for trial in search.ended]
        return search

    def test_one_worker_runs_every_trial_in_order(self) -> None:
        search = self._run(ToyEvaluator(ToySpace()))
        assert [trial.number for trial in search.ended] == list(range(12))
        assert all(trial.outcome is not None and trial.outcome.kind == "complete" for trial in search.ended)

    def test_the_same_search_gives_the_same_genotypes_and_values(self) -> None:
        searches = [self._run(ToyEvaluator(ToySpace())) for _ in range(2)]
        outcomes = [[(trial.genotype, trial.losses) for trial in search.ended] for search in searches]
        assert outcomes[0] == outcomes[1]

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

    def test_a_fault_of_the_record_is_not_blamed_on_the_candidate(self) -> None:
        class FullDisk(InMemory):
            def measured(self, trial: Trial, measurement: Measurement) -> None:
                raise OSError(28, "No space left on device")

        search = Search(ToySpace(), Random(ToySpace(), seed=0, trials=2), (LOSS,), FullDisk(), seed=0, trials=2)
        with pytest.raises(OSError, match="No space"):
            self.make().run(search, ToyEvaluator(ToySpace()), lambda trial: None)
        assert search.ended == []

    def test_it_ends_after_too_many_failures(self) -> None:
        failing: dict[int, Exception] = {number: RuntimeError("no") for number in range(12)}
        search = self._run(ToyEvaluator(ToySpace(), failing=failing), max_failures=3)
        assert search.failures == 4
