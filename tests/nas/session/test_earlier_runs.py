"""Runs as the layout before this one wrote them: they are shown, resumed and exported."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nas
from evaluators.autoencoder.task import AutoencoderTask
from nas.core.evaluator import CHECKPOINT
from nas.core.trial import Start
from nas.session.checkpoint import CHECKPOINT_FILE, TrainingProgress
from nas.session.data import load_run_data
from nas.session.delivery import export_model, write_report
from nas.session.given import NO_OBJECTS
from nas.session.train import make_training_config
from nas.study.files import write_atomically

RUNS = Path(__file__).parents[2] / "fixtures" / "runs"
COUNTS = {
    "autoencoder": {"complete": 6, "stopped": 0, "failed": 0},
    "cyclegan": None,
    "darts": None,
    "front": {"complete": 4, "stopped": 0, "failed": 0},
    "gan": None,
    "layers": None,
    "portions": {"complete": 8, "stopped": 0, "failed": 0},
    "pruned": {"complete": 2, "stopped": 0, "failed": 0, "pruned_versions": 1},
    "shared": None,
    "stopped": None,
    "training": {"complete": 1, "stopped": 0, "failed": 0},
}


@pytest.fixture
def earlier(tmp_path):
    def copied(name):
        return Path(shutil.copytree(RUNS / name, tmp_path / name))

    return copied


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_an_earlier_run_can_be_shown(name, earlier):
    run = nas.open_run(earlier(name))
    assert run.trials
    assert all(trial.outcome is not None for trial in run.trials)
    assert run.ranked() or run.counts()["failed"] == len(run.trials)
    if COUNTS[name] is not None:
        assert run.counts() == COUNTS[name]
    assert all(run.space.describe(trial.genotype, run.shape) for trial in run.trials)


@pytest.mark.parametrize("name", ["autoencoder", "layers", "pruned", "gan", "training"])
def test_an_earlier_run_can_be_exported_and_reported(name, earlier, tmp_path):
    run = nas.open_run(earlier(name))
    folder = export_model(run, directory=tmp_path / "model", formats=("python",))
    assert (folder / "model.py").is_file()
    assert write_report(run).stat().st_size > 1000


def test_an_earlier_run_goes_on_with_the_values_it_would_have_had(earlier):
    """The strategy's record is replayed, and the next trial is the one that a longer run of that version made."""
    path = earlier("autoencoder")
    before = nas.open_run(path).trials
    after = nas.resume(path, trials=7).trials
    assert [trial.genotype for trial in after[:6]] == [trial.genotype for trial in before]
    expected = json.loads((RUNS / "autoencoder-trial-6.json").read_text())
    assert after[6].genotype.text == expected["genotype"]
    assert after[6].metrics["mse"] == pytest.approx(expected["mse"], rel=1e-4)  # processors differ in the last bits


def go_on(path):
    """Two trials more; those of the earlier version are asserted to be as they were. Gives the new ones."""
    before = nas.open_run(path).trials
    run = nas.resume(path, trials=sum(trial.job.counted for trial in before) + 2)
    replayed, new = run.trials[: len(before)], run.trials[len(before) :]
    assert run.finished
    assert replayed == before
    assert all(trial.outcome is not None for trial in new)
    return run, new


@pytest.mark.parametrize("name", ["gan", "cyclegan"])
def test_an_earlier_run_whose_scores_were_measured_otherwise_is_refused(name, earlier):
    with pytest.raises(nas.UserError, match=r"does not compare with new scores: .*formulas was 1 and is 2 here"):
        nas.resume(earlier(name), trials=9)


@pytest.mark.usefixtures("no_report", "no_export")
@pytest.mark.parametrize(
    "name",
    ["darts", "front", "gan", "layers", "pruned", "stopped", pytest.param("cyclegan", marks=pytest.mark.long)],
)
def test_an_earlier_run_goes_on_whatever_its_strategy(name, earlier, monkeypatch):
    """Also those of GANs, as far as their strategies' records go: their scores are of an earlier protocol."""
    monkeypatch.setattr("nas.session.execution.check_protocol", lambda run: None)
    _, new = go_on(earlier(name))
    assert [trial.job.counted for trial in new].count(True) == 2
    assert {trial.outcome.kind for trial in new} <= {"complete", "stopped", "collapsed", "supernet"}


def test_an_earlier_run_keeps_the_split_of_its_seed_and_so_do_trainings_of_its_trials(earlier):
    """One seed decided all parts, and the test part must not be trained on with another."""
    run = nas.open_run(earlier("autoencoder"))
    assert (run.config.seed, run.config.test_seed) == (3, 3)
    assert run.parts.data.fingerprint == run.study.notes["data"]
    again = make_training_config(run.best, {"epochs": 1, "seed": 1})
    assert (again.seed, again.test_seed) == (1, 3)
    other = load_run_data(again, NO_OBJECTS, run.space, AutoencoderTask)
    assert torch.equal(other.test.examples, run.parts.data.test.examples)
    assert not torch.equal(other.train.examples, run.parts.data.train.examples)


@pytest.mark.usefixtures("no_report", "no_export")
def test_an_earlier_search_among_the_paths_of_a_supernet_had_come_to_its_end(earlier):
    """It divides as many trials as it was first asked for among scores and trainings, and proposes no more."""
    run, new = go_on(earlier("shared"))
    assert run.exhausted
    assert new == []


@pytest.mark.usefixtures("no_report", "no_export")
def test_an_earlier_run_of_portions_goes_on_from_the_checkpoints_that_its_trials_left(earlier, tmp_path):
    """They are not among the files that are kept here, so the portions are trained again."""
    path = earlier("portions")
    run = nas.open_run(path)
    without = shutil.copytree(path, tmp_path / "without")
    with pytest.raises(nas.UserError, match=r"trial 8 begins from it; allowed: .*0004.safetensors among its checkp"):
        nas.resume(without, trials=9)
    starts = {}
    for trial in run.trials:
        start = starts.get(trial.job.continues)
        *_, last = run.parts.evaluator.evaluate(replace(trial, measurements=(), start=start))
        starts[trial.number] = Start(trial.number, trial.genotype, last.artifacts[CHECKPOINT])
        write_atomically(run.study.weights_path(trial.number, CHECKPOINT), last.artifacts[CHECKPOINT])
    _, new = go_on(path)
    assert [(trial.number, trial.job.number) for trial in new] == [(8, 2), (9, 2)]


@pytest.mark.usefixtures("no_report", "no_export")
def test_an_earlier_training_goes_on_from_its_checkpoint(earlier):
    path = earlier("interrupted")
    assert TrainingProgress.read(path / CHECKPOINT_FILE).epoch == 2
    (trial,) = nas.resume(path).trials
    assert [m.epoch for m in trial.measurements] == [1, 2, 3]
    assert trial.metrics["mse"] == pytest.approx(0.20004722135078143, rel=1e-4)  # as that version trained the last


@pytest.mark.usefixtures("no_report", "no_export")
def test_an_earlier_training_that_has_ended_is_left_as_it_is(earlier):
    path = earlier("training")
    before = nas.open_run(path).trials
    assert nas.resume(path).trials == before
