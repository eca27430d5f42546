"""Local search walks to the first better neighbour, and starts again where there is none."""

import pytest

from nas.core.errors import UserError
from nas.core.trial import Trial
from nas.strategies.local import Local
from nas.testing import StrategyContract
from nas.testing.toys import ToySpace, ended, toy_loss
from search_spaces.autoencoder.space import AutoencoderSpace


class TestLocal(StrategyContract):
    def make(self, space, seed, trials):
        return Local(space, seed=seed, trials=trials)


def run(strategy, trials, loss=toy_loss):
    history = []
    for number in range(trials):
        proposal = strategy.ask(number)
        if proposal is None:
            break
        history.append(ended(Trial(number, proposal, 0), loss(proposal.genotype)))
        strategy.tell(history[-1])
    return history


def test_every_step_starts_from_the_best_of_its_climb():
    history = run(Local(ToySpace(), seed=0, trials=120), 120)
    centre = None
    for trial in history:
        if not trial.proposal.parents:
            centre = trial
            continue
        assert trial.proposal.parents == (centre.number,)
        if trial.losses[0] < centre.losses[0]:
            centre = trial


def test_a_climb_ends_in_a_local_optimum_and_another_begins():
    fixed = {f"letter{i}": ("a",) for i in range(3, 8)}
    space = ToySpace().restrict({**fixed, "letter0": ("a",)})  # two letters, depth and source: 5 * 5 * 4 * 3
    history = run(Local(space, seed=1, trials=200), 200)
    starts = [trial.number for trial in history if not trial.proposal.parents]
    assert len(starts) > 1
    first_climb = history[: starts[1]]
    best = min(first_climb, key=lambda trial: trial.losses)
    known = {trial.genotype: trial.losses for trial in first_climb}
    for decision in space.trace(best.genotype):
        for value in decision.choice.values:
            content = {**best.genotype.content, decision.choice.site: value}
            neighbour = space.grow(lambda choice, content=content: content[choice.site])
            assert known[neighbour] >= best.losses


def test_a_better_neighbour_known_from_an_earlier_climb_is_walked_to_without_being_evaluated_again():
    history = run(Local(ToySpace(), seed=0, trials=600), 600)
    assert len({trial.genotype for trial in history}) == len(history)
    assert min(trial.losses[0] for trial in history) < 0.2


def test_a_failed_start_is_followed_by_another():
    strategy = Local(ToySpace(), seed=0, trials=20)
    strategy.tell(ended(Trial(0, strategy.ask(0), 0), None))
    assert strategy.ask(1).parents == ()


def test_impossible_options_are_refused():
    with pytest.raises(UserError, match="--set usual"):
        Local(ToySpace(), seed=0, trials=10, usual=1.5)


def test_every_second_neighbour_is_a_step_of_an_ordered_decision_as_long_as_there_are_any():
    space = (
        AutoencoderSpace()
        .conditioned(None)
        .restrict({"latent": (8,), "network": ("fully_connected",), "decoder": ("mirrored",)})
    )
    strategy = Local(space, seed=0, trials=60)
    history = run(strategy, 40, lambda genotype: 1.0)
    steps = [trial for trial in history if trial.proposal.origin.startswith("step")]
    assert {trial.number % 2 for trial in steps} == {1}
    assert all(trial.proposal.parents == (0,) for trial in steps)
    changed = {trial.proposal.origin.split(":")[1].strip() for trial in steps}
    assert changed <= {"stages", "hidden_width", "learning_rate", "batch_size", "weight_decay"}
    assert len(changed) >= 4
    near = {trial.genotype.content["learning_rate"] for trial in steps if "learning_rate" in trial.proposal.origin}
    assert near <= {0.002, 0.008}  # next to the usual 0.004
    assert len({trial.genotype for trial in history}) == len(history)


def test_without_steps_neighbours_are_mutants_alone():
    space = AutoencoderSpace().conditioned(None).restrict({"latent": (8,)})
    history = run(Local(space, seed=0, trials=60, steps=False), 20, lambda genotype: 1.0)
    assert not any(trial.proposal.origin.startswith("step") for trial in history)
