"""The laws of early stopping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from nas.core.early_stopping import EarlyStopping
from nas.core.trial import Objective, Outcome, OutcomeKind, Trial
from nas.testing.toys import LOSS, curved

_ENDED: tuple[OutcomeKind, ...] = ("complete", "stopped", "failed", "diverged", "collapsed", "out_of_memory")


class EarlyStoppingContract:
    """Subclass it and give `make`.

    Attributes:
        epochs: that a trial of these laws is asked for.
        first: the first epoch after which the rule may stop a trial, as `make` makes it.
        stops: whether it ever stops anything.
    """

    epochs = 10
    first = 1
    stops = True

    def make(self, objective: Objective, epochs: int, seed: int) -> EarlyStopping:
        """A new rule."""
        raise NotImplementedError

    def _search(self, seed: int, trials: int = 40, kinds: Sequence[OutcomeKind] = ("complete",)) -> list[Trial]:
        """Random curves that fall, jump and cross, one trial after the other; every trial ended in one of the ways."""
        generator = np.random.default_rng(seed)
        ended: list[Trial] = []
        for number in range(trials):
            fall = np.cumsum(generator.exponential(0.1, self.epochs)[::-1])[::-1]
            losses = (generator.normal() + fall + 0.1 * generator.normal(size=self.epochs)).tolist()
            kind = kinds[number % len(kinds)]
            last = self.epochs if kind == "complete" else int(generator.integers(self.epochs + 1))
            rule = self.make(LOSS, self.epochs, seed)
            for epoch in range(1, last + 1):
                reason = rule.reason_to_stop(curved(number, losses[:epoch]), ended)
                if reason is not None:
                    ended.append(replace(curved(number, losses[:epoch], "stopped"), outcome=Outcome("stopped", reason)))
                    break
            else:
                ended.append(
                    curved(number, losses[:last], kind) if last else replace(curved(number, [1.0], kind), curve={})
                )
        return ended

    def _stopped(self, trials: Sequence[Trial]) -> list[Trial]:
        """Those that the rule has stopped, not those that came so."""
        return [trial for trial in trials if trial.stopped and trial.outcome != Outcome("stopped", "stopped")]

    def test_it_stops_some_and_not_all_and_says_why_with_the_objectives_name(self) -> None:
        trials = self._search(0)
        stopped = self._stopped(trials)
        assert bool(stopped) == self.stops
        assert len(stopped) < len(trials)
        assert all(trial.outcome is not None and "loss" in trial.outcome.reason for trial in stopped)
        assert not any("nan" in trial.outcome.reason for trial in stopped if trial.outcome is not None)

    def test_it_never_stops_before_its_first_epoch_nor_after_the_last(self) -> None:
        epochs = [len(trial.curve) for seed in range(5) for trial in self._stopped(self._search(seed))]
        assert all(self.first <= epoch < self.epochs for epoch in epochs)

    def test_a_loss_below_all_others_so_far_goes_on(self) -> None:
        for seed in range(5):
            trials = self._search(seed, kinds=_ENDED)
            for trial in self._stopped(trials):
                before = [loss for other in trials[: trial.number] for loss in other.curve.values()]
                assert list(trial.curve.values())[-1] > min(before)

    def test_a_trial_alone_goes_on(self) -> None:
        rule = self.make(LOSS, self.epochs, 0)
        for losses in ([1.0] * self.epochs, [float(epoch) for epoch in range(self.epochs)]):
            for epoch in range(1, self.epochs + 1):
                assert rule.reason_to_stop(curved(0, losses[:epoch]), []) is None

    def test_the_same_curves_give_the_same_decision_whatever_was_asked_before_and_in_whatever_order(self) -> None:
        trials = self._search(1, kinds=("complete", "complete", "diverged", "stopped"))
        generator = np.random.default_rng(0)
        used = self.make(LOSS, self.epochs, 1)
        for trial in trials:
            for epoch in range(1, len(trial.curve) + 1):
                at = curved(trial.number, list(trial.curve.values())[:epoch])
                others = trials[: trial.number]
                shuffled = [others[int(place)] for place in generator.permutation(len(others))]
                found = used.reason_to_stop(at, shuffled)
                assert found == self.make(LOSS, self.epochs, 1).reason_to_stop(at, others)
                assert used.reason_to_stop(at, shuffled) == found

    def test_failures_and_trials_that_have_only_begun_are_digested(self) -> None:
        begun = replace(curved(900, [1.0]), curve={})
        for seed in range(3):
            trials = self._search(seed, kinds=_ENDED)
            rule = self.make(LOSS, self.epochs, seed)
            for epoch in range(1, self.epochs):
                running = curved(901, [0.5] * epoch)
                at = curved(902, [2.0 - 0.1 * step for step in range(epoch)])
                for others in (trials, [begun], [begun, running, *trials]):
                    reason = rule.reason_to_stop(at, others)
                    assert reason is None or (isinstance(reason, str) and reason)

    def test_more_is_better_where_the_objective_says_so(self) -> None:
        upwards = Objective("loss", "maximize")
        trials = self._search(2)
        for trial in self._stopped(trials):
            others = trials[: trial.number]
            at = curved(trial.number, list(trial.curve.values()))
            same = self.make(upwards, self.epochs, 2).reason_to_stop(at, others)  # curves are losses already
            assert same is not None
            assert trial.outcome is not None
            assert same != trial.outcome.reason  # the values in it have the other sign
