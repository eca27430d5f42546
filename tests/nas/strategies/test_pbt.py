"""Population-based training: who is copied, what changes, and what is gone on from."""

import math

import numpy as np
import pytest

from nas.core.errors import UserError
from nas.core.job import TrainPortion
from nas.core.space import sample
from nas.core.trial import Measurement, Outcome, Trial
from nas.strategies.pbt import PopulationBased
from nas.testing import StrategyContract
from nas.testing.toys import ToySpace


class TestPopulationBased(StrategyContract):
    beats_random = False  # it trains a few genotypes for long
    repeats = True

    def make(self, space, seed, trials):
        return PopulationBased(space, seed=seed, trials=2 * trials)  # those that fail have less trials


def strategy(trials=12, **options):
    return PopulationBased(ToySpace(), seed=1, trials=trials, **{"population": 3, "portions": 4, **options})


def ended(number, proposal, loss):
    kind = "complete" if loss < math.inf else "diverged"
    return Trial(number, proposal, 0, (Measurement(1, {"loss": loss}),), Outcome(kind), (loss,))


def run(machine, losses):
    """One trial after the other; gives them all."""
    trials = []
    for number, loss in enumerate(losses):
        proposal = machine.ask(number)
        trials.append(ended(number, proposal, loss))
        machine.tell(trials[-1])
    return trials


@pytest.mark.parametrize("total", [4, 5, 7, 8, 101])
def test_portions_are_of_one_length_and_cover_the_training(total):
    epochs = [TrainPortion(number, 4, 0).epochs(total) for number in range(4)]
    assert [epoch for portion in epochs for epoch in portion] == list(range(1, total + 1))
    assert {len(portion) for portion in epochs} <= {total // 4, total // 4 + 1}
    assert [TrainPortion(number, 4, 0).last for number in range(4)] == [False, False, False, True]


def test_members_go_on_from_their_own_and_the_worst_from_the_best():
    trials = run(strategy(), [3.0, 1.0, 2.0] * 4)
    portions = [trial.job for trial in trials]
    assert [portion.number for portion in portions] == [0] * 3 + [1] * 3 + [2] * 3 + [3] * 3
    assert [portion.member for portion in portions] == [0, 1, 2] * 4
    # member 0 is the worst of three whenever it is compared, and member 1 the best
    assert [portion.continues for portion in portions] == [None] * 3 + [1, 1, 2, 4, 4, 5, 7, 7, 8]
    assert [trial.proposal.parents for trial in trials[3:6]] == [(1,), (1,), (2,)]
    assert trials[4].genotype == trials[1].genotype
    assert trials[5].proposal.origin == "continued"
    assert trials[3].proposal.origin.startswith("copy of trial 1")


def test_a_copy_has_other_hyperparameters_and_the_same_network():
    machine = strategy()
    for genotype in (sample(ToySpace(), np.random.default_rng(seed)) for seed in range(30)):
        changed, words = machine._explore(genotype, np.random.default_rng(0))
        before, after = genotype.content, changed.content
        assert {n: v for n, v in before.items() if n != "rate"} == {n: v for n, v in after.items() if n != "rate"}
        if "rate" in before:
            grid = (0.1, 0.2, 0.4, 0.8)
            assert abs(grid.index(before["rate"]) - grid.index(after["rate"])) <= 1
            assert words == ("" if before == after else f"rate {before['rate']} -> {after['rate']}")
    explored = [machine._explore(genotype, np.random.default_rng(seed))[0].content["rate"] for seed in range(200)]
    assert set(explored) == {grid[i] for i in range(4) if abs(i - grid.index(genotype.content["rate"])) <= 1}


def test_what_failed_is_a_copy_or_begins_anew():
    trials = run(strategy(population=4, share=0.25, trials=16), [math.inf, 1.0, math.inf, 2.0, 5.0, 5.0])
    assert [trial.job.continues for trial in trials[4:]] == [1, 1]
    assert trials[4].job.member == 0
    alone = run(strategy(), [math.inf] * 6)
    assert [trial.job.number for trial in alone] == [0] * 6
    assert len({trial.genotype for trial in alone}) == 6


def test_a_member_goes_on_from_what_others_were_after_as_many_portions():
    machine = strategy(portions=3, trials=9)
    proposals = [machine.ask(number) for number in range(3)]
    for number, loss in ((0, 3.0), (1, 2.0)):
        machine.tell(ended(number, proposals[number], loss))
    third = machine.ask(3)
    assert third.job == TrainPortion(1, 3, 0, continues=1)
    machine.tell(ended(3, third, 0.1))
    machine.tell(ended(4, machine.ask(4), 0.2))
    assert [machine.ask(5).job.number, machine.ask(6).job.number, machine.ask(7)] == [2, 2, None]
    machine.tell(ended(2, proposals[2], 2.5))
    # after one portion the members had 3, 2 and 2.5: what became of them since does not matter
    assert machine.ask(7).job == TrainPortion(1, 3, 2, continues=2)


@pytest.mark.parametrize(("option", "value"), [("portions", 1), ("population", 1), ("share", 0.6), ("usual", 2)])
def test_options_that_make_no_sense_are_refused(option, value):
    with pytest.raises(UserError, match=f"--set {option}"):
        strategy(**{option: value})


def test_changing_the_rate_while_training_beats_keeping_any():
    """A toy whose best rate falls as its training goes on: what population-based training is for."""
    found = []
    for seed in range(8):
        space = ToySpace().restrict({"letter0": ("b",)})
        machine = PopulationBased(space, seed=seed, trials=64, population=8, portions=8, share=0.25, usual=0)
        distance = {None: 8.0}
        for number in range(64):
            proposal = machine.ask(number)
            portion = proposal.job
            best = (0.8, 0.4, 0.2, 0.1)[portion.number // 2]
            distance[number] = distance[portion.continues] * (0.4 if proposal.genotype.content["rate"] == best else 0.9)
            machine.tell(ended(number, proposal, distance[number]))
        found.append(min(distance.values()))
    kept = 8.0 * 0.4**2 * 0.9**6  # any rate is the best one for two portions of eight
    assert np.mean(np.log(found)) < np.log(kept) - 1
