"""Candidates as paths of a supernet: who is trained when, and what scores mean."""

import pytest

from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.job import ScoreWithSupernet, Train, TrainSupernet
from nas.core.trial import Measurement, Outcome, Trial
from nas.strategies.evolution import Evolution
from nas.strategies.one_shot import OneShot
from nas.strategies.random import Random
from nas.strategies.reinforce import Reinforce
from nas.testing.toys import ToySpace, toy_loss
from tests.parts.toy_spaces import SharingToySpace


def kind(proposal):
    if proposal is None:
        return "waits"
    return {TrainSupernet: "supernet", ScoreWithSupernet: "shared", Train: "alone"}[type(proposal.job)]


def ended(trial, loss=None):
    proposal = trial.proposal
    if kind(proposal) == "supernet":
        return Trial(trial.number, proposal, 0, (Measurement(1, {"loss": 10.0}),), Outcome("supernet"), (float("inf"),))
    loss = toy_loss(proposal.genotype) if loss is None else loss
    how = "shared" if kind(proposal) == "shared" else "complete"
    return Trial(trial.number, proposal, 0, (Measurement(1, {"loss": loss}),), Outcome(how), (loss,))


def failed(trial):
    return Trial(trial.number, trial.proposal, 0, (), Outcome("diverged", "nan"), (float("inf"),))


def strategy(inner=Evolution, trials=20, space=None, **options):
    def make(within, candidates):
        return inner(within, seed=1, trials=candidates)

    return OneShot(space or SharingToySpace(), seed=1, trials=trials, make=make, **options)


def run(machine, trials, end=ended):
    told = []
    for number in range(trials):
        proposal = machine.ask(number)
        if proposal is None:
            break
        told.append(end(Trial(number, proposal, 0)))
        machine.tell(told[-1])
    return told


@pytest.mark.parametrize("inner", [Evolution, Random, Reinforce])
def test_a_supernet_then_candidates_then_the_best_of_them_alone(inner):
    machine = strategy(inner, finalists=3)
    told = run(machine, 25)
    assert [kind(trial.proposal) for trial in told] == ["supernet"] + ["shared"] * 16 + ["alone"] * 3
    assert {trial.job.supernet for trial in told[1:17]} == {0}
    scored = sorted(told[1:17], key=lambda trial: (trial.losses, trial.number))
    assert [trial.genotype for trial in told[17:]] == [trial.genotype for trial in scored[:3]]
    assert [trial.proposal.parents for trial in told[17:]] == [(trial.number,) for trial in scored[:3]]
    assert machine.recommend() == 17
    base = told[0].genotype.content
    fixed = [site for site in base if "letter" not in site and site != "rate"]
    assert all(trial.genotype.content[site] == base[site] for trial in told for site in fixed)


def test_rounds_train_the_supernet_further_on_what_was_proposed():
    told = run(strategy(Reinforce, trials=33, rounds=3, finalists=2, supernet_epochs=10), 33)
    kinds = [kind(trial.proposal) for trial in told]
    assert kinds == (["supernet"] + ["shared"] * 9) * 2 + ["supernet"] + ["shared"] * 10 + ["alone"] * 2
    plans = [told[number].job.plan for number in (0, 10, 20)]
    assert [plan.continues for plan in plans] == [None, 0, 10]
    assert [plan.epochs for plan in plans] == [3, 3, 3]
    assert plans[0].paths == ()  # any of the space
    for plan, first in ((plans[1], 1), (plans[2], 11)):
        assert plan.paths == tuple(sorted({trial.genotype.text for trial in told[first : first + 9]}))
        assert all(Genotype(text).space == "toy" for text in plan.paths)
    assert {trial.job.supernet for trial in told[21:31]} == {20}


def test_several_workers_wait_for_the_supernet_and_for_the_last_candidate():
    machine = strategy(trials=8, finalists=2)
    supernet = machine.ask(0)
    assert [kind(machine.ask(1)), kind(machine.ask(1))] == ["waits", "waits"]
    machine.tell(ended(Trial(0, supernet, 0)))
    running = [Trial(number, machine.ask(number), 0) for number in range(1, 6)]
    assert machine.ask(6) is None
    for trial in reversed(running):
        assert machine.ask(6) is None
        machine.tell(ended(trial))
    assert [kind(machine.ask(number)) for number in (6, 7, 8)] == ["alone", "alone", "waits"]


def test_a_score_with_shared_weights_is_never_recommended():
    machine = strategy(trials=10, finalists=2)
    run(machine, 10, lambda trial: ended(trial) if kind(trial.proposal) != "alone" else failed(trial))
    assert machine.recommend() is None


def test_a_supernet_that_fails_is_tried_again_and_the_search_ends_at_last():
    told = run(strategy(), 20, failed)
    assert [kind(trial.proposal) for trial in told] == ["supernet"] * 3
    later = strategy(trials=23, rounds=2, finalists=2)
    told = run(
        later,
        25,
        lambda trial: failed(trial) if trial.number > 9 and isinstance(trial.job, TrainSupernet) else ended(trial),
    )
    assert [kind(trial.proposal) for trial in told[-5:]] == ["supernet"] * 3 + ["alone"] * 2


def test_candidates_that_fail_are_no_finalists():
    told = run(
        strategy(trials=10), 12, lambda trial: failed(trial) if kind(trial.proposal) == "shared" else ended(trial)
    )
    assert [kind(trial.proposal) for trial in told] == ["supernet"] + ["shared"] * 8


def test_asks_and_tells_executed_again_go_on_alike():
    told = run(strategy(Reinforce, trials=30, rounds=2, finalists=3), 30)
    again = strategy(Reinforce, trials=30, rounds=2, finalists=3)
    for trial in told:
        assert again.ask(trial.number) == trial.proposal
        again.tell(trial)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UserError, match=r"--weight-sharing .supernet.: the space toy has none"):
        strategy(space=ToySpace())
    with pytest.raises(UserError, match=r"--trials 3.*4 or more"):
        strategy(trials=3, finalists=2)
    with pytest.raises(UserError, match=r"--set rounds 0"):
        strategy(rounds=0)
    with pytest.raises(UserError, match=r"--set supernet_epochs 2.*3 or more"):
        strategy(rounds=3, supernet_epochs=2, trials=30)
    with pytest.raises(UserError, match="no letter is free"):
        strategy(space=SharingToySpace().restrict({f"letter{i}": ("b",) for i in range(8)}))
