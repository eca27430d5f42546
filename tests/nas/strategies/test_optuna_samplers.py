"""Optuna's samplers, driven through our loop."""

import logging

import numpy as np
import pytest

from nas.core.errors import UserError
from nas.core.trial import Outcome, Trial
from nas.strategies.optuna_samplers import CMAES, GP, NSGA2, TPE, Optuna
from nas.testing import StrategyContract
from nas.testing.toys import ToySpace, asked_and_told, ended, toy_loss


class TestOptuna(StrategyContract):
    landscape = 90, 4

    def make(self, space, seed, trials):
        return Optuna(space, seed=seed, trials=trials)


class TestTPE(StrategyContract):
    landscape = 90, 4

    def make(self, space, seed, trials):
        return TPE(space, seed=seed, trials=trials)


class TestCMAES(StrategyContract):
    landscape = 90, 4

    def make(self, space, seed, trials):
        return CMAES(space, seed=seed, trials=trials)


class TestNSGA2(StrategyContract):
    landscape = 90, 4

    def make(self, space, seed, trials):
        return NSGA2(space, seed=seed, trials=trials)


class TestGP(StrategyContract):
    trials, long, short, landscape = 14, 21, 12, (24, 2)

    def make(self, space, seed, trials):
        return GP(space, seed=seed, trials=trials)


@pytest.mark.parametrize(
    ("strategy", "sampler"), [(TPE, "TPESampler"), (GP, "GPSampler"), (CMAES, "CmaEsSampler"), (NSGA2, "NSGAIISampler")]
)
def test_the_sampler_is_the_one_that_is_named(strategy, sampler):
    made = strategy(ToySpace(), seed=0, trials=20)
    assert type(made._study.sampler).__name__ == sampler
    assert made.ask(0).origin.startswith(sampler)


def test_optuna_is_told_what_was_evaluated_and_in_which_order_values_lie():
    strategy = TPE(ToySpace(), seed=0, trials=20)
    history = asked_and_told(strategy, 15)
    known = [trial for trial in strategy._study.get_trials() if trial.state.name == "COMPLETE"]
    assert [trial.value for trial in known] == [trial.losses[0] for trial in history]
    for frozen, trial in zip(known, history, strict=True):
        content = trial.genotype.content
        assert frozen.params["depth"] == content["depth"] - 1  # an ordered value is its place
        assert "abcde"[frozen.params["letter3"]] == content["letter3"]
        assert ("rate" in frozen.params) == ("rate" in content)  # conditional decisions only where they arise


def test_tpe_models_conditional_decisions_together_and_lies_about_what_runs():
    strategy = TPE(ToySpace(), seed=0, trials=40)
    history = asked_and_told(strategy, 25)
    sampler = strategy._study.sampler
    assert (sampler._multivariate, sampler._group, sampler._constant_liar) == (True, True, True)
    found = [set(space) for space in sampler._search_space_group.search_spaces]
    assert {"rate"} in found  # what arises only with the first letter not "a" is a group of its own
    assert any("letter0" in group and "depth" in group for group in found)
    alone = TPE(ToySpace(), seed=0, trials=40, multivariate=False, group=False, liar=False)
    assert [t.genotype for t in asked_and_told(alone, 25)] != [t.genotype for t in history]
    with pytest.raises(UserError, match="--set group True is not accepted; allowed: false with multivariate=false"):
        TPE(ToySpace(), seed=0, trials=40, multivariate=False)


def test_failures_are_failures_to_optuna_too():
    strategy = TPE(ToySpace(), seed=0, trials=20)
    proposal = strategy.ask(0)
    strategy.tell(Trial(0, proposal, 0, (), Outcome("diverged", "nan"), (float("inf"),)))
    assert strategy._study.get_trials()[0].state.name == "FAIL"


def test_cma_es_moves_unordered_values_too():
    """A normal distribution over one number for each value; Optuna's own sampler would draw them independently."""
    strategy = CMAES(ToySpace(), seed=0, trials=200)
    history = asked_and_told(strategy, 200)
    losses = [trial.losses[0] for trial in history]
    assert np.mean(losses[-40:]) < np.mean(losses[:40]) - 1.5


def test_nsga2_takes_several_losses():
    strategy = NSGA2(ToySpace(), seed=0, trials=60)
    for number in range(30):
        proposal = strategy.ask(number)
        trial = ended(Trial(number, proposal, 0), toy_loss(proposal.genotype))
        losses = (*trial.losses, float(proposal.genotype.content["depth"]))
        strategy.tell(Trial(number, proposal, 0, trial.measurements, trial.outcome, losses))
    assert len(strategy._study.directions) == 2
    assert len(strategy._study.best_trials) >= 1


def test_optunas_logging_is_left_as_it_was(caplog):
    level = logging.getLogger("optuna").level
    with caplog.at_level(logging.INFO):
        asked_and_told(TPE(ToySpace(), seed=0, trials=12), 12)
    assert logging.getLogger("optuna").level == level
    assert not [record for record in caplog.records if "study created" in record.message]


@pytest.mark.parametrize(
    ("strategy", "options"),
    [(TPE, {"startup": -1}), (TPE, {"candidates": 0}), (GP, {"startup": 0}), (CMAES, {"population": 3}),
     (NSGA2, {"population": 1}), (NSGA2, {"mutation": 2.0})],
)  # fmt: skip
def test_impossible_options_are_refused(strategy, options):
    with pytest.raises(UserError, match="--set"):
        strategy(ToySpace(), seed=0, trials=30, **options)
