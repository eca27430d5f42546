"""Trackers are told every trial of a run and the best's test; where they are not installed, or fail, no search ends."""

import sys

import pytest

import nas
from nas.cli import run as command
from nas.trackers.tracker import Tracker, make_tracker

SEARCH = {"trials": 2, "epochs": 2, "train_size": 60, "finalists": 0, "restrict": {"width": [8]}}
pytestmark = pytest.mark.usefixtures("no_report", "no_export")


@pytest.fixture
def told(monkeypatch):
    seen = []

    class Remembering(Tracker):
        def log_trial(self, trial):
            seen.append(trial)

        def log_epoch(self, number, measurement):
            seen.append((number, measurement.epoch))

        def close(self, metrics):
            seen.append(dict(metrics))

    monkeypatch.setattr("nas.trackers.tracker.TRACKERS", {"mine": (f"{__name__}:Mine", "json")})
    monkeypatch.setattr(sys.modules[__name__], "Mine", Remembering, raising=False)
    return seen


def test_they_are_told_each_trial_and_the_test(tmp_path, told):
    run = nas.search(track=["mine:here"], runs_dir=tmp_path, **SEARCH)
    *trials, tested = told
    assert [trial.number for trial in trials] == [0, 1]
    assert tested == run.tested
    for report, trial in zip(trials, run.trials, strict=True):
        assert report.measurements == trial.measurements
        assert report.decisions["width"] == 8
        assert report.picture.startswith(b"\x89PNG")
    told.clear()
    nas.train(run, epochs=3, track=["mine"], runs_dir=tmp_path, name="t")
    assert told[:3] == [(0, 1), (0, 2), (0, 3)]


def test_one_that_fails_is_told_no_more_and_the_search_goes_on(tmp_path, told, monkeypatch, caplog):
    def fail(self, trial):
        told.append(trial.number)
        raise OSError("away")

    monkeypatch.setattr(sys.modules[__name__].Mine, "log_trial", fail)
    run = nas.search(track=["mine"], runs_dir=tmp_path, **SEARCH)
    assert run.counts()["complete"] == 2
    assert told == [0]
    assert "--track mine told no more: OSError: away" in caplog.text


def test_unknown_ones_and_those_that_are_not_installed_are_refused_before_anything_begins(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "nas.trackers.wandb", raising=False)
    for tracker, words in (("wandb", "nas-generative[wandb]"), ("tensorbord", "did you mean 'tensorboard'")):
        assert command(["search", "--track", tracker, "--runs-dir", str(tmp_path)]) == 2
        told = capsys.readouterr().err
        assert words in told
        assert len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_tensorboard_has_the_curves_of_every_trial(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = nas.search(track=[f"tensorboard:{tmp_path / 'tb'}"], runs_dir=tmp_path / "runs", name="r", **SEARCH)
    for trial in run.trials:
        events = EventAccumulator(str(tmp_path / "tb" / "r" / f"trial-{trial.number:04d}"))
        events.Reload()
        assert [event.step for event in events.Scalars("mse")] == [1, 2]
        assert events.Scalars("mse")[-1].value == pytest.approx(trial.metrics["mse"])
        assert "picture" in events.Tags()["images"]


def test_mlflow_has_a_run_for_every_trial(tmp_path):
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    from mlflow.tracking import MlflowClient

    place = f"sqlite:///{tmp_path / 'ml.db'}"
    run = nas.search(track=[f"mlflow:{place}"], runs_dir=tmp_path / "runs", name="r", **SEARCH)
    client = MlflowClient(place)
    found = client.search_runs([client.get_experiment_by_name("nas").experiment_id])
    children = {one.info.run_name: one for one in found if "mlflow.parentRunId" in one.data.tags}
    assert set(children) == {"trial 0", "trial 1"}
    for trial in run.trials:
        assert children[f"trial {trial.number}"].data.metrics["mse"] == pytest.approx(trial.metrics["mse"])
        assert children[f"trial {trial.number}"].data.params["width"] == "8"
    (parent,) = [one for one in found if one.info.run_name == "r"]
    assert parent.data.metrics["test_mse"] == pytest.approx(run.tested["mse"])


def test_weights_and_biases_is_told_while_it_is_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    nas.search(track=["wandb:digits"], runs_dir=tmp_path / "runs", name="r", **SEARCH)
    assert len(list(tmp_path.glob("wandb/offline-run-*"))) == 3  # two trials, and the test


def test_a_tracker_is_made_with_its_place_and_the_name_of_the_run(told):
    tracker = make_tracker("mine:some:where", "r")
    assert (tracker.place, tracker.run) == ("some:where", "r")
