"""The laws of strategies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nas.core.genotype import Genotype
from nas.core.job import TrainPortion, TrainSupernet
from nas.core.space import SearchSpace, sample
from nas.core.strategy import Strategy
from nas.core.trial import Trial
from nas.testing.spaces import disturb_global_generators, from_another_process, global_generators
from nas.testing.toys import ToySpace, curved, ended, toy_loss


class StrategyContract:
    """Subclass it and give `make`.

    The class is imported by its name in another process as well, so `make` needs nothing but its arguments.
    """

    trials = 60
    long, short = 40, 30
    landscape = 150, 8
    """Lengths of runs, and how many of which length must beat random search; less for what is slow to propose."""
    beats_random = True
    repeats = False
    """Whether a genotype comes again and again, as with strategies that train it in portions."""

    def make(self, space: SearchSpace, seed: int, trials: int) -> Strategy:
        """A new strategy."""
        raise NotImplementedError

    def _run(self, strategy: Strategy, trials: int, failing: tuple[int, ...] = ()) -> list[Trial]:
        history = []
        for number in range(trials):
            proposal = strategy.ask(number)
            assert proposal is not None
            asked = Trial(number, proposal, seed=number)
            trial = ended(asked, None if number in failing else toy_loss(proposal.genotype))
            strategy.tell(trial)
            history.append(trial)
        return history

    def _first_proposals(self) -> list[str]:
        return [trial.genotype.text for trial in self._run(self.make(ToySpace(), 3, self.short), self.short)]

    def test_proposals_are_valid(self) -> None:
        space = ToySpace()
        for trial in self._run(self.make(space, 0, self.trials), self.trials):
            space.validate(trial.genotype)

    def test_who_descends_has_parents_that_have_ended(self) -> None:
        strategy = self.make(ToySpace(), 0, self.short)
        if not strategy.descends:
            pytest.skip("it descends from nothing")
        history = self._run(strategy, self.short)
        assert any(trial.proposal.parents for trial in history)
        assert all(parent < trial.number for trial in history for parent in trial.proposal.parents)

    def test_it_proposes_supernets_and_portions_only_if_it_says_so(self) -> None:
        strategy = self.make(ToySpace(), 0, self.short)
        assert type(strategy).trains_portions == strategy.trains_portions
        for trial in self._run(strategy, self.short):
            portion = trial.job if isinstance(trial.job, TrainPortion) else None
            assert strategy.trains_supernets or not isinstance(trial.job, TrainSupernet)
            assert strategy.trains_portions == (portion is not None)
            assert portion is None or portion.count == strategy.portions

    def test_the_same_seed_gives_the_same_proposals_and_another_seed_others(self) -> None:
        runs = [self._run(self.make(ToySpace(), seed, self.short), self.short) for seed in (3, 3, 4)]
        ids = [[trial.genotype.id for trial in run] for run in runs]
        assert ids[0] == ids[1]
        assert ids[0] != ids[2]

    def test_the_same_seed_gives_the_same_proposals_in_another_process(self) -> None:
        assert from_another_process(type(self), "_first_proposals") == self._first_proposals()

    def test_the_global_generators_have_no_effect_and_are_left_alone(self) -> None:
        history = self._run(self.make(ToySpace(), 3, self.short), self.short)
        disturb_global_generators(1000)
        before = global_generators()
        strategy = self.make(ToySpace(), 3, self.short)
        assert global_generators() == before
        for trial in history:
            disturb_global_generators(1001 + trial.number)
            before = global_generators()
            assert strategy.ask(trial.number) == trial.proposal
            strategy.tell(trial)
            strategy.recommend()
            assert global_generators() == before

    def test_asks_and_tells_executed_again_go_on_alike(self) -> None:
        history = self._run(self.make(ToySpace(), 5, self.long), self.long)
        again = self.make(ToySpace(), 5, self.long)
        for trial in history[: self.long // 2]:
            proposal = again.ask(trial.number)
            assert proposal is not None
            assert proposal == trial.proposal
            again.tell(trial)
        for trial in history[self.long // 2 :]:
            assert again.ask(trial.number) == trial.proposal
            again.tell(trial)

    def test_failures_are_digested(self) -> None:
        failing = (0, 1, 5, 6, 7, 20)
        strategy = self.make(ToySpace(), 0, self.long)
        history = self._run(strategy, self.long, failing)
        assert len(history) == self.long
        assert strategy.recommend() not in failing

    def test_nothing_is_recommended_before_anything_succeeded(self) -> None:
        strategy = self.make(ToySpace(), 0, 10)
        assert strategy.recommend() is None
        self._run(strategy, 4, failing=(0, 1, 2, 3))
        assert strategy.recommend() is None

    def test_what_was_stopped_early_is_digested_and_never_recommended(self) -> None:
        histories = []
        for _ in range(2):
            strategy = self.make(ToySpace(), 7, self.long)
            history: list[Trial] = []
            for number in range(self.short):
                proposal = strategy.ask(number)
                assert proposal is not None
                trial, loss = Trial(number, proposal, 0), toy_loss(proposal.genotype)
                if isinstance(proposal.job, TrainSupernet):
                    trial = ended(trial, loss)
                elif number % 4 == 3:
                    trial = curved(trial, [loss + 2, loss + 1], "complete")
                else:
                    trial = curved(trial, [loss], "stopped")
                strategy.tell(trial)
                history.append(trial)
                complete: set[int | None] = {
                    t.number for t in history if t.outcome is not None and t.outcome.kind == "complete"
                }
                paused = {t.number for t in history if t.reached}  # at rungs, with weights
                assert strategy.recommend() in (complete or paused or (None,))
            histories.append(history)
        assert histories[0] == histories[1]

    def test_the_recommendation_is_the_best_seen_where_nothing_is_noisy(self) -> None:
        strategy = self.make(ToySpace(), 1, self.short)
        history = self._run(strategy, self.short)
        best = min(history, key=lambda trial: (trial.losses, trial.number))
        assert strategy.recommend() == best.number

    def test_several_objectives_are_digested_and_executed_again_alike(self) -> None:
        histories = []
        for _ in range(2):
            strategy = self.make(ToySpace(), 6, self.short)
            history = []
            for number in range(self.short):
                proposal = strategy.ask(number)
                assert proposal is not None
                loss, letters = toy_loss(proposal.genotype), len(set(proposal.genotype.text))
                trial = ended(Trial(number, proposal, 0), None if number in (1, 12) else loss)
                second = float("inf") if number in (1, 12) else float(letters)
                trial = replace(trial, losses=(*trial.losses, second))
                strategy.tell(trial)
                history.append(trial)
            assert strategy.recommend() not in (None, 1, 12)
            histories.append(history)
        assert histories[0] == histories[1]

    def test_several_asks_before_a_tell_never_propose_the_same(self) -> None:
        strategy = self.make(ToySpace(), 0, self.long)
        asked = [strategy.ask(number) for number in range(8)]
        proposals = [proposal for proposal in asked if proposal is not None]
        assert proposals
        assert len({proposal.genotype.id for proposal in proposals}) == len(proposals)

    def test_late_results_in_another_order_are_digested(self) -> None:
        strategy = self.make(ToySpace(), 0, self.long)
        running: list[Trial] = []
        for number in range(self.short):
            proposal = strategy.ask(number)
            if proposal is not None:
                running.append(Trial(number, proposal, seed=0))
            if len(running) > 4 or proposal is None:  # None: it waits for a result
                trial = running.pop(min(2, len(running) - 1))
                strategy.tell(ended(trial, toy_loss(trial.genotype)))
        assert strategy.recommend() is not None

    def test_nothing_is_evaluated_twice(self) -> None:
        if self.repeats:
            pytest.skip("this strategy trains a genotype in portions")
        history = self._run(self.make(ToySpace(), 2, self.trials), self.trials)
        candidates = [trial for trial in history if not isinstance(trial.job, TrainSupernet)]
        assert len({trial.genotype.id for trial in candidates}) == len(candidates)

    def test_a_space_smaller_than_the_budget_is_exhausted_and_not_repeated(self) -> None:
        fixed: dict[str, tuple[str | int | float | bool, ...]] = {f"letter{i}": ("a",) for i in range(8)}
        space = ToySpace().restrict({**fixed, "source": (0,)})
        if self.repeats:
            pytest.skip("this strategy trains a genotype in portions")
        strategy = self.make(space, 0, 30)
        seen: set[Genotype] = set()
        for number in range(30):
            proposal = strategy.ask(number)
            if proposal is None:
                break
            seen.add(proposal.genotype)
            strategy.tell(ended(Trial(number, proposal, 0), toy_loss(proposal.genotype)))
        assert len(seen) == 4  # the depths
        assert number == 4

    def test_it_beats_random_search_on_a_toy_landscape(self) -> None:
        if not self.beats_random:
            pytest.skip("what this strategy is good at, the toy landscape does not have")
        trials, seeds = self.landscape[0], range(self.landscape[1])
        found = [min(t.losses[0] for t in self._run(self.make(ToySpace(), s, trials), trials)) for s in seeds]
        drawn = []
        for seed in seeds:
            generator = np.random.default_rng(seed)
            drawn.append(min(toy_loss(sample(ToySpace(), generator)) for _ in range(trials)))
        assert np.mean(found) < np.mean(drawn) - 0.5
