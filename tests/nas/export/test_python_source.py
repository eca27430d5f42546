"""What can be exported and what is refused, by name; what the exported program makes of odd input."""

import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nas.core.errors import NotExportable, UserError
from nas.core.evaluator import Deliverable
from nas.export import folder
from nas.export.folder import export_model
from tests.parts import export as parts
from tests.parts.export import CARD

IMAGES = torch.rand(4, 1, 8, 8)


def export(model, directory, samples=IMAGES, formats=("python",)):
    part = Deliverable(model, {"images": samples}, ("reconstructions",), "autoencoder")
    export_model(part, directory, card=CARD, formats=formats)


def tied():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
    model[1].weight = model[0].weight
    return model


def reused():
    layer = nn.Conv2d(1, 1, 1)
    return nn.Sequential(layer, nn.ReLU(), layer)


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(parts.NamesLeaf(3)),
        nn.Sequential(nn.Conv2d(1, 3, 1), parts.Block(3), nn.Conv2d(3, 1, 1)),
        parts.Edges({"a": nn.Identity(), "b": nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1, affine=False))}),
        nn.Hardtanh(0.0, float("inf")),
    ],
)
def test_any_tree_that_keeps_the_rule_is_exported(model, tmp_path):
    export(model, tmp_path / "x")  # which verifies


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (nn.Sequential(parts.Copies()), "Copies: its source uses copy"),
        (nn.Sequential(parts.NamesTorchsClass()), "uses ReLU"),
        (nn.Sequential(parts.Image()), "Image: .*rename"),
        (nn.Sequential(OrderedDict(a=nn.ReLU())), "model: .*names"),
        (nn.Sequential(nn.RNN(3, 4)), r"model\.0: RNN"),
        (reused(), r"model\.2\.weight: is the same as model\.0\.weight"),
        (tied(), r"model\.1\.weight: is the same as model\.0\.weight"),
    ],
)
def test_what_breaks_the_rule_is_named(model, why, tmp_path):
    with pytest.raises(NotExportable, match=why):
        export(model, tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_exporting_leaves_the_random_numbers_as_they_were(tmp_path):
    model = nn.Conv2d(1, 1, 3, padding=1)
    before = torch.get_rng_state()
    export(model, tmp_path / "x")
    assert torch.equal(before, torch.get_rng_state())


def test_one_sample_is_verified_in_two_sizes_of_batch(tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        folder, "_load_python", lambda path: lambda inputs: sizes.append(len(inputs["images"])) or inputs["images"]
    )
    export(nn.Identity(), tmp_path / "x", IMAGES[:1])
    assert sizes == [1, 3]
    with pytest.raises(UserError, match="holds none"):
        export(nn.Identity(), tmp_path / "x", IMAGES[:0])


def test_the_present_folder_and_links_are_places_to_export_to(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    export(nn.Identity(), Path())
    assert (here / "model.py").is_file()
    (tmp_path / "link").symlink_to(here)
    export(nn.Identity(), tmp_path / "link")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here", "link"]


def test_an_earlier_export_outlives_a_failed_move(tmp_path, monkeypatch):
    export(nn.Identity(), tmp_path / "x")
    rename = Path.rename

    def fails(self, target):
        if Path(target).name == "x" and (self / "model.py").stat().st_ino != old:
            raise OSError("disk")
        return rename(self, target)

    old = (tmp_path / "x" / "model.py").stat().st_ino
    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(OSError, match="disk"):
        export(nn.Identity(), tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x" / "model.py").stat().st_ino == old


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    directory = tmp_path_factory.mktemp("program") / "x"
    export(nn.Identity(), directory)
    return folder._import_file(directory / "model.py"), directory / "model.py"


def test_pictures_are_read_as_those_trained_on(program, tmp_path):
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[4:] = 0  # white, and black that is invisible below
    Image.fromarray(pixels).save(tmp_path / "alpha.png")
    read = program[0].read_picture(str(tmp_path / "alpha.png"))
    assert torch.equal(read[0, 0], torch.ones(8, 8))
    deep = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    read = program[0].read_picture(str(tmp_path / "deep.png"))
    assert np.array_equal((read[0, 0] * 255).round().numpy(), deep >> 8)


@pytest.mark.parametrize(
    "wrong", [["--device", "abacus"], ["--output", "none/x.png"], ["--output", "x.none"], ["bomb"]]
)
def test_wrong_input_is_one_error_and_no_traceback(program, wrong, tmp_path, monkeypatch, capsys):
    module, _ = program
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module.Image, "MAX_IMAGE_PIXELS", 10)
    Image.new("L", (50, 50)).save(tmp_path / "bomb", "PNG")
    monkeypatch.setattr(sys, "argv", ["model.py", *wrong])
    try:
        code = module.main()
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    assert "model.py: " in capsys.readouterr().err


def test_the_exporter_is_silent(tmp_path):
    made = (
        "import sys; from pathlib import Path; from torch import nn\n"
        "from tests.nas.export.test_python_source import export\n"
        "export(nn.Conv2d(1, 1, 3, padding=1), Path(sys.argv[1]), formats=('python', 'onnx', 'program'))"
    )
    ran = subprocess.run([sys.executable, "-c", made, str(tmp_path / "x")], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
