"""A population's run: kept checkpoints, what is left after an interruption, and what does not fit."""

import json

import pytest

import nas
from evaluators.autoencoder.task import AutoencoderTask
from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.evaluator import CHECKPOINT, WEIGHTS, Evaluator
from nas.core.job import Train, TrainPortion
from nas.core.space import generator_for
from nas.core.trial import Measurement
from nas.session.given import Given
from nas.session.lookup import open_run
from nas.session.resume import resume_run
from nas.session.start import start_run
from nas.testing.toys import ToyEvaluator, ToySpace
from tests.conftest import tiny_data
from tests.parts.interrupting import Until


class Counting(Evaluator):
    """A training whose weight is the sum of a random number an epoch, and its checkpoint that sum."""

    metrics = ToyEvaluator.metrics
    jobs = frozenset({Train, TrainPortion})

    def __init__(self, space, data, *, epochs, device):
        self.epochs = epochs

    def evaluate(self, trial):
        portion = trial.job
        total = 0.0 if trial.start is None else json.loads(trial.start.tensors)
        for epoch in (epochs := portion.epochs(self.epochs)):
            total += generator_for(trial.seed, epoch).random()
            files = {WEIGHTS: b"weights", CHECKPOINT: json.dumps(total).encode()} if epoch == epochs[-1] else {}
            yield Measurement(epoch, {"loss": total}, files)


GIVEN = Given(space=ToySpace(), data=tiny_data(count=40), evaluator=Counting)


def config(folder, name, **options):
    given = {"strategy": "pbt", "trials": 9, "epochs": 3, "set": {"portions": 3}, "seed": 2}
    return RunConfig.checked(given | {"runs_dir": folder, "name": name} | options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.session.execution.write_report", lambda run: None)
        seen = Until(100)
        yield start_run(config(tmp_path_factory.mktemp("whole"), "whole"), given=GIVEN, progress=seen), seen.checkpoints


def found(run):
    return [(trial.proposal, trial.seed, trial.measurements, trial.losses) for trial in run.trials]


def test_every_trial_is_a_portion_and_copies_have_other_rates(whole):
    run, kept = whole
    portions = [trial.job for trial in run.trials]
    assert [portion.member for portion in portions] == [0, 1, 2] * 3
    assert [[m.epoch for m in trial.measurements] for trial in run.trials] == [[1]] * 3 + [[2]] * 3 + [[3]] * 3
    copies = [trial for trial in run.trials if trial.proposal.origin.startswith("copy")]
    assert len(copies) == 2
    assert any(" -> " in trial.proposal.origin for trial in copies)
    # a member's last two at most, and nothing once all have been trained
    assert kept == [1, 2, 3, 4, 5, 3, 3, 3, 0]
    assert sum(run.study.weights_path(trial.number).is_file() for trial in run.trials) == 9


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("ended", [2, 4, 7])
def test_what_was_interrupted_goes_on_as_if_nothing_had_happened(whole, tmp_path, ended):
    with pytest.raises(KeyboardInterrupt):
        start_run(config(tmp_path, "cut"), given=GIVEN, progress=Until(ended))
    assert sum(trial.outcome is not None for trial in open_run(tmp_path / "cut").trials) == ended
    assert found(resume_run(tmp_path / "cut", given=GIVEN)) == found(whole[0])


def test_a_checkpoint_that_is_gone_is_named(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        start_run(config(tmp_path, "cut"), given=GIVEN, progress=Until(4))
    for path in open_run(tmp_path / "cut").study.checkpoints():
        path.unlink()
    with pytest.raises(UserError, match=r"trial 4 begins from it.*0001\.safetensors"):
        resume_run(tmp_path / "cut", given=GIVEN)


def test_more_portions_than_epochs_are_refused_before_a_folder_is_made(tmp_path):
    with pytest.raises(UserError, match=r"--set portions 5: .*3 epochs.*at most 3"):
        start_run(config(tmp_path, "none", set={"portions": 5}), given=GIVEN)
    assert not (tmp_path / "none").exists()


def test_an_evaluator_that_continues_nothing_is_refused(tmp_path):
    class Passing(Evaluator):
        metrics = AutoencoderTask.quality

        def __init__(self, space, data, *, epochs, device):
            self.space = space

        def evaluate(self, trial):
            yield Measurement(1, {"mse": 1.0})

    with pytest.raises(UserError, match=r"--evaluator .*Passing"):
        nas.search(data=tiny_data(), evaluator=Passing, strategy="pbt", trials=8, runs_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []
