"""What computes and with which numbers: chosen, refused in one line, recorded and inherited."""

import contextlib

import pytest
import torch

import nas
from nas.config import RunConfig
from nas.core.errors import UserError
from nas.session.device import choose_device, choose_precision
from nas.session.train import make_training_config
from nas.study.configuration import load_config
from tests.conftest import tiny_data
from tests.parts.command_line import SHORT, refused


@pytest.fixture
def cards(monkeypatch):
    """As if there were two cards, with units for bfloat16 or without."""

    def install(count, able=True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "device", lambda device: contextlib.nullcontext())
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)

    return install


def test_a_card_is_chosen_where_there_is_one(cards):
    cards(2)
    assert [choose_device(wanted) for wanted in ("auto", "cuda", "cuda:1", "cpu")] == ["cuda", "cuda", "cuda:1", "cpu"]
    with pytest.raises(UserError, match=r"PyTorch finds 2 CUDA devices here; allowed: cuda:0, cuda:1"):
        choose_device("cuda:2")
    cards(0)
    assert choose_device("auto") == "cpu"
    for missing in ("cuda", "cuda:0"):
        with pytest.raises(UserError, match=f"--device '{missing}': PyTorch finds no CUDA device here"):
            choose_device(missing)


def test_an_apple_gpu_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("mps") == "mps"
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *version: True)
    assert [choose_precision(wanted, "mps") for wanted in ("auto", "bf16")] == ["fp32", "bf16"]
    monkeypatch.setattr(torch.backends.mps, "is_macos_or_newer", lambda *version: False)
    with pytest.raises(UserError, match="--precision 'bf16': the device mps has no bfloat16; allowed: auto, fp32"):
        choose_precision("bf16", "mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match="--device 'mps': PyTorch finds no Apple GPU"):
        choose_device("mps")


def test_bfloat16_is_chosen_on_cards_that_have_it(cards):
    cards(1)
    assert [choose_precision(wanted, "cuda:0") for wanted in ("auto", "fp32", "bf16")] == ["bf16", "fp32", "bf16"]
    cards(1, able=False)
    assert choose_precision("auto", "cuda") == "fp32"
    with pytest.raises(UserError, match="--precision 'bf16': the device cuda has no bfloat16"):
        choose_precision("bf16", "cuda")
    assert [choose_precision(wanted, "cpu") for wanted in ("auto", "bf16")] == ["fp32", "bf16"]


def test_faulty_ones_are_refused_in_one_line(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "auto, cpu, cuda, a card such as cuda:1, or mps" in refused(capsys, "search", "--device", "cuda:x")
    assert "auto, fp32, bf16" in refused(capsys, "search", "--precision", "fp16")
    own = ["--space", "nas.testing.toys:ToySpace", "--evaluator", "nas.testing.toys:ToyEvaluator", *SHORT]
    said = refused(capsys, "search", "--precision", "bf16", *own)
    assert "--evaluator nas.testing.toys:ToyEvaluator does not choose" in said


@pytest.mark.usefixtures("no_report", "no_export")
def test_the_precision_is_recorded_and_a_training_chooses_its_own(tmp_path):
    small = {"network": "fully_connected", "hidden_width": 64, "batch_size": 16, "stages": 1, "decoder": "mirrored"}
    options = {"data": tiny_data(), "trials": 1, "epochs": 1, "pin": small, "runs_dir": tmp_path}
    whole, lower = (nas.search(name=name, precision=name, **options) for name in ("fp32", "bf16"))
    assert [load_config(run.path).precision for run in (whole, lower)] == ["fp32", "bf16"]
    assert whole.best.metrics["mse"] != lower.best.metrics["mse"]
    assert nas.search(name="auto", **options).config.precision == "fp32"
    inherited = [make_training_config(run.best, {"epochs": 1}).precision for run in (whole, lower)]
    assert inherited == ["fp32", "auto"]  # what that device had, another may not
    assert make_training_config(whole.best, {"epochs": 1, "precision": "bf16"}).precision == "bf16"


def test_runs_of_earlier_versions_computed_in_float32(tmp_path):
    config = RunConfig.checked({"name": "earlier"})
    run = tmp_path / "earlier"
    run.mkdir()
    (run / "study.journal").touch()
    lines = [line for line in config.to_yaml().splitlines() if not line.startswith("precision")]
    (run / "config.yaml").write_text("\n".join(lines))
    assert load_config(run).precision == "fp32"
