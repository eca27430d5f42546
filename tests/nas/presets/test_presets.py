"""Presets: what they are, that their spaces take them, and that what is said besides wins."""

import pytest

from nas.cli import run as command
from nas.config import RunConfig
from nas.core.space import Shapeable, generator_for, sample
from nas.data.catalogue import find_source
from nas.presets import list_presets, load_preset
from nas.session.lookup import open_run
from nas.session.restrictions import load_space, restrict_space
from nas.strategies.usual_first import find_usual
from tests.parts.command_line import refused

SHAPES = {
    "vae-binarised": (1, 28, 28), "iwae-50-binarised": (1, 28, 28), "beta-vae": (3, 64, 64), "wae-mmd": (3, 64, 64),
    "denoiser": (3, 32, 32), "two-layer-denoiser": (3, 32, 32), "ecg": (1, 256), "table-quick": (12,),
    "table-anomalies": (12,),
}  # fmt: skip
"""Of the examples that presets are made for, where not any image will do."""


@pytest.mark.parametrize("name", list_presets())
def test_a_preset_is_a_configuration_that_its_space_takes_and_says_what_it_is(name):
    config = RunConfig.checked(load_preset(name))
    space = load_space(config)
    space = space.shaped(SHAPES.get(name, (1, 8, 8))) if isinstance(space, Shapeable) else space
    space = restrict_space(space, config)
    content = sample(space, generator_for(0, 0), usual=1.0).content
    for site, value in config.pin.items():
        assert content.get(site, value) == value
    for data in config.data_sets:
        find_source(data)
    about = list_presets()[name]
    assert about.startswith(("nas search: ", "nas train: "))
    if about.startswith("nas train: "):
        assert config.epochs
        assert set(config.pin) <= set(content)
        assert find_usual(space, 0) is None or space.size() < 10  # nothing that matters is left open


def test_presets_are_listed_and_shown_as_files_that_config_takes(capsys, tmp_path):
    assert command(["presets"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(list_presets())
    assert command(["presets", "denoiser"]) == 0
    file = tmp_path / "own.yaml"
    file.write_text(capsys.readouterr().out)
    from nas.config import read_yaml

    assert read_yaml(file) == load_preset("denoiser")


def options(monkeypatch, *arguments):
    """What `nas search` is asked for."""
    asked = []
    monkeypatch.setattr("nas.session.start.start_run", lambda config, **others: asked.append(config) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        command(["search", *arguments])
    return asked[0]


def test_a_file_wins_over_a_preset_and_the_command_line_over_both(monkeypatch, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("epochs: 7\ndataset: digits\npin: {latent: 16, batch_size: 32}\n")
    found = options(monkeypatch, "--preset", "vae-binarised", "--config", str(file), "--pin", "batch_size=64")
    assert (found.dataset, found.epochs, found.objective) == ("digits", 7, ["iwae_bound"])
    assert (found.pin["latent"], found.pin["batch_size"], found.pin["stages"]) == (16, "64", 2)
    found = options(monkeypatch, "--preset", "vae-binarised", "--restrict", "latent=8,16", "--epochs", "3")
    assert "latent" not in found.pin
    assert (found.restrict, found.epochs) == ({"latent": ["8", "16"]}, 3)
    found = options(monkeypatch, "--preset", "denoiser", "--pin", "latent=1024", "--objective", "psnr")
    assert (found.restrict, found.pin["latent"], found.objective) == ({}, "1024", ["psnr"])


@pytest.mark.usefixtures("no_report", "no_export")
def test_a_preset_is_trained_and_the_run_says_what_it_was_resolved_to(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = ["--dataset", "binarised:digits", "--train-size", "64", "--epochs", "1", "--quiet"]
    assert command(["train", "--preset", "iwae-50-binarised", "--name", "iwae", *options]) == 0
    run = open_run(tmp_path / "runs/iwae")
    content = run.best.genotype.content
    assert (content["family"], content["importance_samples"], content["latent"]) == ("importance_weighted", 50, 50)
    assert (run.config.dataset, run.config.epochs, run.config.train_size) == ("binarised:digits", 1, 64)
    assert run.study.notes["from"] == "preset iwae-50-binarised"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "--preset", "denoise"], "--preset 'denoise': unknown, did you mean 'denoiser'?"),
        (["presets", "vae"], "NAME 'vae': unknown"),
        (["train"], "RUN is missing; allowed: "),
        (["train", "a-run", "--preset", "dcgan"], "RUN 'a-run' is not accepted"),
        (["train", "--preset", "table-quick"], "--epochs is missing; allowed: "),
    ],
)
def test_what_is_no_preset_is_refused_in_a_line(arguments, message, capsys):
    assert message in refused(capsys, *arguments)
