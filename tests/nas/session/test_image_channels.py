"""Whole searches on pictures and arrays with two and four channels, not square, given as tensors or in folders."""

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import nas
from nas.study.configuration import load_config
from tests.conftest import SMALL

CONVOLUTIONAL = {"network": "convolutional", "width": 8, "batch_size": 16, "stages": 1, "decoder": "mirrored"}


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("pin", [SMALL, CONVOLUTIONAL])
def test_an_autoencoder_of_two_or_four_channels_is_searched_exported_and_run(channels, pin, tmp_path):
    images = torch.rand(60, channels, 8, 12)
    run = nas.search(data=images, trials=2, epochs=1, pin=pin, runs_dir=tmp_path, name="x")
    assert run.shape == (channels, 8, 12)
    assert run.parts.data.notes == ("x_train read as (N, C, H, W)",)
    with Image.open(run.model_folder / "reconstructions.png") as picture:
        assert picture.mode == ("RGBA" if channels == 4 else "RGB")
    assert nas.resume(run, trials=3, data=images).counts()["complete"] == 3


@pytest.mark.usefixtures("no_report")
def test_transparent_pictures_are_searched_with_their_alpha(tmp_path):
    (tmp_path / "set").mkdir()
    for number in range(40):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 4), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / f"{number}.png")
    options = {"data": f"folder:{tmp_path / 'set'}", "channels": "RGBA", "image_size": "8x6", "background": "#00ff00"}
    run = nas.search(trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path, name="x", **options)
    assert run.shape == (4, 8, 6)
    assert "(0, 255, 0, 0)" in (run.model_folder / "model.py").read_text()
    trained = nas.train(run, epochs=1, name="y", runs_dir=tmp_path)
    assert trained.parts.data.fingerprint == run.parts.data.fingerprint
    assert (trained.config.channels, trained.config.image_size) == ("RGBA", "8x6")


@pytest.mark.usefixtures("no_report", "no_export")
@pytest.mark.parametrize("wrap", [lambda x, y: (x, y), lambda x, y: {"images": x, "labels": y}])
def test_tensors_with_labels_are_data(wrap, tmp_path):
    given = wrap(torch.randint(0, 256, (60, 8, 8)), torch.arange(60) % 3)
    run = nas.search(data=given, trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path, name="x")
    assert run.parts.data.classes == ("0", "1", "2")
    assert run.parts.data.test.labels.bincount().tolist() == [4, 4, 4]
    assert nas.resume(run, trials=2, data=given).counts()["complete"] == 2


@pytest.mark.usefixtures("no_report", "no_export")
@pytest.mark.parametrize("label", [{}, {"label": None}])  # of before there were tables, and after
def test_a_run_from_before_there_were_these_options_reads_and_splits_as_it_did(label, tmp_path):
    rows = [f"{i % 3}," + ",".join(str((i * 7 + j) % 256) for j in range(16)) for i in range(60)]
    names = ",".join(["kind", *"abcdefghijklmnop"])  # which now look like those of a table
    (tmp_path / "d.csv").write_text("\n".join([names, *rows]))
    options = {"split": "shuffled", "background": "black", "label": "first"}
    run = nas.search(
        data=f"csv:{tmp_path / 'd.csv'}", trials=1, epochs=1, pin=SMALL, runs_dir=tmp_path, name="x", **options
    )
    written = yaml.safe_load((run.path / "config.yaml").read_text())
    for name in ("split", "background", "label", "channels", "image-shape"):
        del written[name]
    (run.path / "config.yaml").write_text(yaml.safe_dump(written | label))
    config = load_config(run.path)
    assert {name: getattr(config, name) for name in options} == options
    assert nas.resume(run.path, trials=2).counts()["complete"] == 2  # which compares the fingerprints
