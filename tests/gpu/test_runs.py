"""Whole runs on the device: searched, gone on with, trained in full, exported, and used on the CPU."""

import pytest
import torch

import nas
from nas.session.delivery import export_model
from tests.conftest import tiny_data
from tests.parts.command_line import refused
from tests.parts.devices import SMALL_AUTOENCODERS

pytestmark = pytest.mark.gpu
OPTIONS = {"restrict": {site: list(values) for site, values in SMALL_AUTOENCODERS.items()}, "epochs": 1}


@pytest.fixture(scope="module")
def run(device, tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    return nas.search(data=tiny_data(), trials=3, finalists=1, device=device, name="run", runs_dir=runs, **OPTIONS)


def test_a_search_ends_with_finals_and_an_export(run, device):
    assert run.parts.device == device
    assert {trial.outcome.kind for trial in run.trials} == {"complete"}
    assert len(run.trials) > 3
    assert {"model.py", "model.onnx", "model.pt2"} <= {path.name for path in (run.path / "best").iterdir()}
    assert run.tested["mse"] > 0
    assert run.config.precision in ("fp32", "bf16")


def test_an_exported_model_needs_no_card(run, tmp_path):
    folder = export_model(run, directory=tmp_path / "model", formats=("program",))
    program = torch.export.load(folder / "model.pt2").module()
    images = torch.rand(2, 1, 8, 8)
    assert torch.allclose(program(images), run.best.model()(images), atol=1e-5)


@pytest.mark.usefixtures("no_report", "no_export")
def test_a_run_is_gone_on_with(device, tmp_path):
    data = tiny_data()
    nas.search(data=data, trials=2, finalists=0, device=device, name="cut", runs_dir=tmp_path, **OPTIONS)
    assert len(nas.resume(tmp_path / "cut", trials=3, data=data).trials) == 3


@pytest.mark.usefixtures("no_report", "no_export")
def test_the_best_is_trained_in_full(run, device, tmp_path):
    trained = nas.train(run, 2, name="full", runs_dir=tmp_path, device=device)
    assert trained.trials[0].measurements[-1].epoch == 2


def test_a_device_that_is_not_there_is_refused(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "cuda:99" in refused(capsys, "search", "--device", "cuda:99")
