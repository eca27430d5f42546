"""Searches on sequences from the command line and Python: read, searched, looked at, gone on with, exported, judged."""

import csv

import numpy as np
import pytest

import nas
from nas.core.errors import UserError
from nas.core.job import PruneChannels
from nas.export import folder
from nas.study.configuration import load_config
from tests.parts.command_line import refused, said
from tests.parts.data import one_line
from tests.parts.recordings import write_recording

SMALL = ["--restrict", "width=8", "--restrict", "decoder_width=8", "--pin", "network=convolutional"]


def waves(count=120, steps=24):
    draw = np.random.default_rng(0)
    frequency, phase = draw.uniform(1, 3, (count, 1, 1)), draw.uniform(0, 2 * np.pi, (count, 1, 1))
    angle = frequency * np.linspace(0, 2 * np.pi, steps) + phase
    return np.concatenate((30 + 5 * np.sin(angle), np.cos(angle)), 1), (frequency[:, 0, 0] > 2).astype(int)


@pytest.fixture
def archive(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples, labels = waves()
    examples[4, 1, 3] = np.nan
    np.savez("w.npz", x_train=examples, y_train=labels)
    return "npz:w.npz"


def test_a_search_on_sequences_from_the_archive_to_the_exported_model(archive, tmp_path, capsys):
    options = ["--kind", "sequence", "--trials", "2", "--epochs", "1", "--name", "r"]
    code, _, told = said(capsys, "search", "--dataset", archive, *options, *SMALL, "--prune", "0.5")
    assert code == 0, told
    assert "sequences of 2 x 24" in told
    config = load_config(tmp_path / "runs" / "r")
    assert (config.kind, config.window) == ("sequence", None)
    best = tmp_path / "runs" / "r" / "best"
    program = folder._import_file(best / "model.py")
    np.save("mine.npy", waves(3)[0])
    assert program.main(["mine.npy"]) == 0
    assert abs(np.load("reconstructions.npy")[:, 0].mean() - 30) < 10  # in the units of the user's own
    with open("reconstructions.csv") as file:
        assert len(list(csv.DictReader(file))) == 3
    run = nas.open_run("runs/r")
    (pruned,) = (trial for trial in run.trials if isinstance(trial.job, PruneChannels))
    assert pruned.metrics["parameters"] < run.trials[pruned.proposal.parents[0]].metrics["parameters"]
    before = len(run.trials)
    resumed = nas.resume("runs/r", trials=3)  # which refuses other data
    assert len(resumed.trials) > before
    code, table, told = said(capsys, "evaluate", "r")
    assert code == 0, told
    assert "knn_accuracy" in table + told
    trained = nas.train("runs/r:0", 1, name="t")
    assert trained.config.kind == "sequence"
    assert trained.loaded.data.fingerprint == resumed.loaded.data.fingerprint


@pytest.mark.usefixtures("no_report", "no_export")
@pytest.mark.parametrize(
    "how",
    [
        ["--strategy", "darts", "--set", "warm_up=0"],
        ["--weight-sharing", "inherit", "--set", "population=2", "--set", "sample=2"],
        ["--grow"],
    ],
    ids=["darts", "inherit", "grow"],
)
def test_supernets_inheritance_and_growth_work_on_sequences(archive, capsys, how):
    options = ["--kind", "sequence", "--trials", "4" if "inherit" in how else "2", "--epochs", "2", "--name", "r"]
    pins = ["--pin", "cells=edge", "--pin", "encoder_cell.nodes=1", "--pin", "stages=1", "--train-size", "40"]
    code, _, told = said(capsys, "search", "--dataset", archive, *options, *pins, *SMALL, *how)
    assert code == 0, told
    run = nas.open_run("runs/r")
    assert all(trial.outcome.kind in ("complete", "supernet") for trial in run.trials)
    if "inherit" in how:
        assert any(trial.metrics.get("inherited", 0) > 0 for trial in run.trials)


@pytest.mark.usefixtures("no_report", "no_export")
def test_recordings_are_searched_in_windows_and_labels_name_what_is_normal(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(12):
        write_recording(tmp_path / "w" / ("hum", "hiss")[number % 2] / f"{number}.wav", waves(1, 320)[0][0][:1] / 40)
    options = ["--window", "32", "--trials", "1", "--epochs", "1", "--normal", "hum", "--name", "r"]
    code, _, told = said(capsys, "search", "--dataset", "wav:w", *options, *SMALL)
    assert code == 0, told
    assert "12 recordings at 8000 Hz, cut into 120 windows of 32 samples" in told
    assert load_config(tmp_path / "runs" / "r").window == 32
    assert "--window 5: digits holds no recordings" in refused(capsys, "search", "--window", "5")
    assert "--kind 'picture'" in refused(capsys, "search", "--kind", "picture")
    assert "--window 0 is not accepted; allowed: a whole number of samples from 1" in refused(
        capsys, "search", "--window", "0"
    )


@pytest.mark.usefixtures("no_report", "no_export")
def test_arrays_given_as_objects_are_told_their_kind(tmp_path):
    examples, labels = waves()
    options = {"trials": 1, "epochs": 1, "runs_dir": tmp_path, "restrict": {"width": [8], "decoder_width": [8]}}
    run = nas.search(data={"x_train": examples, "y_train": labels}, kind="sequence", **options)
    assert run.loaded.data.kind == "sequence"
    for data, told in (({"x_train": examples}, {"window": 5}), (run.loaded.data, {"kind": "sequence"})):
        with pytest.raises(UserError, match="the data are given as an object") as error:
            nas.search(data=data, **options, **told)
        one_line(error)
