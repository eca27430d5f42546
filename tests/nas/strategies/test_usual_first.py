"""The usual genotype comes first, and whoever can learn from it does."""

import pytest

from nas import registry
from nas.core.job import TrainSupernet
from nas.core.trial import Proposal, Trial
from nas.strategies.random import Random
from nas.strategies.usual_first import UsualFirst, find_usual
from nas.testing.toys import RelaxableToySpace, ToySpace, ended, toy_loss

OPTUNAS = ("cmaes", "gp", "nsga2", "optuna", "tpe")


class Bent(RelaxableToySpace):
    """The toy space with usual values."""

    def decide(self, ask):
        letters = [ask.operation(f"letter{i}", "abcde", usual="c") for i in range(8)]
        ask.structure("depth", (1, 2, 3, 4), ordered=True, usual=3)
        ask.structure("source", (0, 1, 2), usual=0)
        if letters[0] == "b":
            ask.hyperparameter("rate", (0.1, 0.01, 0.001), ordered=True)


USUAL = Bent().grow(lambda choice: choice.usual)


def make(name, space=None):
    """The strategy as a run has it: after the usual genotype, unless it begins with that itself."""
    space = space or Bent()
    constructor = registry.load("strategy", name)
    strategy = registry.make_strategy(constructor, name, space, seed=3, trials=30, given={})
    return strategy if strategy.begins_with_usual else UsualFirst(strategy, find_usual(space, 3))


def search(strategy, trials):
    history = []
    for number in range(trials):
        proposal = strategy.ask(number)
        history.append(ended(Trial(number, proposal, number), toy_loss(proposal.genotype)))
        strategy.tell(history[-1])
    return history


@pytest.mark.parametrize("name", sorted(set(registry.BUILT_IN["strategy"]) - {"darts"}))
def test_trial_0_is_the_usual_genotype_and_a_replay_gives_the_same(name):
    strategy = make(name)
    history = search(strategy, 14)
    assert history[0].genotype == USUAL
    again = make(name)
    for trial in history:
        assert again.ask(trial.number) == trial.proposal
        again.tell(trial)
    assert again.recommend() == strategy.recommend()


def test_darts_alone_has_no_usual_genotype_first_for_it_trains_a_supernet():
    for name in registry.BUILT_IN["strategy"]:
        constructor = registry.load("strategy", name)
        strategy = registry.make_strategy(constructor, name, Bent(), seed=3, trials=30, given={})
        assert strategy.trains_supernets == (name == "darts")
    assert isinstance(registry.load("strategy", "darts")(Bent(), seed=3, trials=30).ask(0).job, TrainSupernet)


@pytest.mark.parametrize("name", OPTUNAS)
def test_optunas_samplers_learn_from_the_usual_genotype_and_do_not_suggest_it_again(name):
    strategy = make(name)
    history = search(strategy, 12)
    study = strategy._inner._study
    assert study.trials[0].value == history[0].losses[0]
    told = [trial for trial in study.trials if trial.state.name == "COMPLETE"]
    assert [trial.value for trial in told] == [trial.losses[0] for trial in history]
    assert len({trial.genotype for trial in history}) == 12


@pytest.mark.parametrize("name", OPTUNAS)
def test_a_usual_genotype_that_failed_or_ends_last_is_told_as_well(name):
    strategy = make(name)
    proposals = [strategy.ask(number) for number in range(3)]
    for number in (2, 1, 0):
        strategy.tell(ended(Trial(number, proposals[number], 0), float(number) if number else None))
    states = [trial.state.name for trial in strategy._inner._study.trials]
    assert states == ["COMPLETE", "COMPLETE", "FAIL"]


@pytest.mark.parametrize("workers", [1, 4])
def test_the_predictor_does_not_ask_for_the_usual_genotype_again(workers):
    strategy, running, made = make("predictor"), [], []
    for number in range(14):
        made.append(strategy.ask(number).genotype)
        running.append(ended(Trial(number, Proposal(made[-1]), 0), toy_loss(made[-1])))
        if len(running) == workers:
            strategy.tell(running.pop(0))
    assert made[0] == USUAL
    assert len(set(made)) == 14


def test_runs_that_began_before_the_predictor_knew_of_it_are_gone_on_with_as_they_began():
    inner = registry.load("strategy", "predictor")(Bent(), seed=3, trials=30)
    strategy = UsualFirst(inner, USUAL, announced=False)
    assert [trial.genotype == USUAL for trial in search(strategy, 3)] == [True, True, False]


def test_the_better_of_both_is_recommended():
    def recommend(usual, others):
        strategy = UsualFirst(Random(ToySpace(), seed=0, trials=5), USUAL)
        for number, loss in enumerate([usual, *others]):
            strategy.tell(ended(Trial(number, Proposal(strategy.ask(number).genotype), 0), loss))
        return strategy.recommend()

    assert recommend(1.0, [2.0, 3.0]) == 0
    assert recommend(2.0, [3.0, 1.0]) == 2
    assert recommend(None, [3.0, 1.0]) == 2
    assert recommend(1.0, [None]) == 0
    assert recommend(None, [None]) is None


def test_what_is_usual_of_nothing_is_drawn_and_of_a_space_without_anything_usual_is_none():
    class Neither(ToySpace):
        def decide(self, ask):
            ask.operation("letter0", "abcde")

    assert find_usual(Neither(), 0) is None

    class Half(ToySpace):
        def decide(self, ask):
            ask.operation("letter0", "abcde", usual="d")
            ask.operation("letter1", "abcde")

    found = [find_usual(Half(), seed).content for seed in range(20)]
    assert {content["letter0"] for content in found} == {"d"}
    assert len({content["letter1"] for content in found}) > 2
