"""A run whose candidates share a supernet's weights: what is kept, ranked and gone on with."""

import json

import pytest

from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.evaluator import WEIGHTS, Evaluator
from nas.core.genotype import Genotype
from nas.core.job import ScoreWithSupernet, Train, TrainSupernet
from nas.core.trial import Measurement
from nas.session.given import Given
from nas.session.lookup import open_run
from nas.session.resume import resume_run
from nas.session.start import start_run
from nas.testing.toys import ToyEvaluator, toy_loss
from tests.conftest import tiny_data
from tests.parts.interrupting import Until
from tests.parts.toy_spaces import SharingToySpace


class Sharing(Evaluator):
    """A supernet's weights are the number of paths it was trained on; they make scores better than they are."""

    metrics = ToyEvaluator.metrics
    jobs = frozenset({Train, TrainSupernet, ScoreWithSupernet})

    def __init__(self, space, data, *, epochs, device):
        self.epochs = epochs

    def evaluate(self, trial):
        if isinstance(trial.job, TrainSupernet):
            yield from self.train_supernet(trial)
        elif isinstance(trial.job, ScoreWithSupernet):
            assert trial.start.number == trial.job.supernet
            yield Measurement(1, {"loss": toy_loss(trial.genotype) - 100 - json.loads(trial.start.tensors)})
        else:
            for epoch in range(1, self.epochs + 1):
                files = {WEIGHTS: b"alone"} if epoch == self.epochs else {}
                yield Measurement(epoch, {"loss": toy_loss(trial.genotype) + 1 / epoch}, files)

    def train_supernet(self, trial):
        plan = trial.job.plan
        before = 0 if plan.continues is None else json.loads(trial.start.tensors)
        assert all(Genotype(text).space == "toy" for text in plan.paths)
        yield Measurement(1, {"loss": 50.0}, {WEIGHTS: json.dumps(before + 1).encode()})


GIVEN = Given(space=SharingToySpace(), data=tiny_data(count=40), evaluator=Sharing)


def config(folder, name, **options):
    given = {"strategy": "evolution", "weight_sharing": "supernet", "trials": 20, "epochs": 2, "seed": 2}
    given["set"] = {"rounds": 2, "finalists": 3, "population": 5}
    return RunConfig.checked(given | {"runs_dir": folder, "name": name} | options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.session.execution.write_report", lambda run: None)
        yield start_run(config(tmp_path_factory.mktemp("whole"), "whole", keep_weights=1), given=GIVEN)


def found(run):
    return [(trial.proposal, trial.seed, trial.measurements, trial.losses) for trial in run.trials]


def test_only_what_was_trained_alone_is_ranked_and_kept(whole):
    kinds = [trial.outcome.kind for trial in whole.trials]
    assert kinds == ["supernet"] + ["shared"] * 7 + ["supernet"] + ["shared"] * 8 + ["complete"] * 3
    assert [trial.number for trial in whole.ranked()] == sorted((17, 18, 19), key=lambda n: whole.trials[n].losses)
    assert whole.best.number in (17, 18, 19)
    assert whole.counts() == {"complete": 3, "stopped": 0, "failed": 0, "supernets": 2, "shared": 15}
    assert whole.finished
    assert (whole.epochs_run, whole.epochs_asked) == (6, 6)
    kept = [trial.number for trial in whole.trials if whole.study.weights_path(trial.number).is_file()]
    assert kept == [0, 8, whole.best.number]  # of candidates one
    assert all(whole.trials[number].losses[0] < -90 for number in range(1, 8))


@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize("ended", [1, 5, 9, 18])
def test_what_was_interrupted_goes_on_as_if_nothing_had_happened(whole, tmp_path, ended):
    with pytest.raises(KeyboardInterrupt):
        start_run(config(tmp_path, "cut"), given=GIVEN, progress=Until(ended))
    assert sum(trial.outcome is not None for trial in open_run(tmp_path / "cut").trials) == ended
    assert found(resume_run(tmp_path / "cut", given=GIVEN)) == found(whole)


@pytest.mark.parametrize(("options", "said"), [
    ({"strategy": "darts", "set": {}}, "--weight-sharing .supernet.: --strategy darts has its own way to train"),
    ({"strategy": "pbt", "set": {}, "epochs": 4}, "--weight-sharing .supernet.: --strategy pbt has its own way"),
    ({"set": {"finalist": 3}}, "--set .evolution..*finalist.*finalists"),
    ({"trials": 6}, "--trials 6.*7 or more"),
])  # fmt: skip
def test_what_does_not_fit_is_refused_before_a_folder_is_made(tmp_path, options, said):
    with pytest.raises(UserError, match=said):
        start_run(config(tmp_path, "none", **options), given=GIVEN)
    assert list(tmp_path.iterdir()) == []
