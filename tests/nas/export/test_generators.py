"""Generators and discriminators are exported as programs that sample and score."""

import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nas.core.evaluator import Deliverable
from nas.export import folder
from nas.export.folder import export_model
from tests.parts.export import CARD

CLASSES = ("zero", "one", "it's <two>")


class Plain(nn.Module):
    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent
        self.layers = nn.Sequential(nn.Linear(latent, 64), nn.Unflatten(1, (1, 8, 8)), nn.Sigmoid())

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(noise)


class OfLabels(nn.Module):
    """Half of the image's brightness is its label."""

    def __init__(self, latent: int, classes: int) -> None:
        super().__init__()
        self.latent = latent
        self.classes = classes
        self.layers = nn.Sequential(nn.Linear(latent, 64), nn.Unflatten(1, (1, 8, 8)), nn.Sigmoid())

    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        return 0.1 * self.layers(noise) + 0.4 * condition.view(-1, 1, 1, 1).float()


class OfVectors(OfLabels):
    def forward(self, noise: Tensor, condition: Tensor) -> Tensor:
        return 0.5 * self.layers(noise) + 0.5 * condition[:, :1, None, None].sigmoid()


class Styled(Plain):
    def __init__(self, latent: int, truncation: float = 1.0) -> None:
        super().__init__(latent)
        self.truncation = truncation

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(noise * self.truncation)


class Critic(nn.Module):
    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.layer = nn.Linear(64, classes)

    def forward(self, images: Tensor, condition: Tensor) -> Tensor:
        return self.layer(images.flatten(1)).gather(1, condition[:, None]).squeeze(1)


def generator(module, condition="none", example=None, noise="normal"):
    inputs = {"noise": torch.randn(4, module.latent)} | ({} if example is None else {"condition": example})
    settings = {
        "latent": module.latent,
        "noise": noise,
        "noise_scale": 0.7,
        "condition": condition,
        "classes": CLASSES if condition == "label" else (),
    }
    return Deliverable(module, inputs, ("images",), "generator", settings)


@pytest.fixture
def program(tmp_path):
    """Exports a part and gives its program as a function of its arguments, and its folder."""

    def make(part):
        export_model(part, tmp_path / "x", card=CARD, formats=("python",))
        module = folder._import_file(tmp_path / "x" / "model.py")

        def run(*arguments):
            assert module.main([*arguments, "--output", str(tmp_path / "out.png")]) == 0
            with Image.open(tmp_path / "out.png") as picture:
                return np.asarray(picture).copy()

        run.module, run.folder = module, tmp_path / "x"
        return run

    return make


@pytest.mark.parametrize("noise", ["normal", "uniform"])
def test_the_same_seed_draws_the_same_samples(program, noise):
    run = program(generator(Plain(5), noise=noise))
    assert (run.folder / "samples.png").is_file()
    first = run("--samples", "9", "--seed", "3")
    assert first.shape == (3 * 34, 3 * 34)  # 8 x 8 images four times enlarged, with borders
    assert np.array_equal(first, run("--samples", "9", "--seed", "3"))
    assert not np.array_equal(first, run("--samples", "9", "--seed", "4"))
    drawn = run.module.noise(20_000, 0)
    assert drawn.std().item() == pytest.approx(0.7, rel=0.02)  # what the settings say, whatever the distribution
    assert run.module.noise(20_000, 0, 0.3).abs().max() <= 2 * 0.3 * 0.7


def test_truncation_goes_to_the_style_where_there_is_one(program):
    run = program(generator(Styled(5)))
    whole, half = run("--seed", "1"), run("--seed", "1", "--truncation", "0.001")
    images = half[1:33, 1:33], half[1:33, 35:67]
    assert np.abs(images[0].astype(int) - images[1]).max() <= 1  # all that is left is the average
    assert not np.array_equal(whole, half)


def test_a_label_is_given_by_name_or_number(program, capsys):
    run = program(generator(OfLabels(5, 3), "label", torch.tensor([0, 1, 2, 0])))
    for name, brightness in (("one", 0.4), ("1", 0.4), (CLASSES[2], 0.8)):
        sheet = run("--label", name, "--samples", "4")
        assert sheet[1:33, 1:33].mean() / 255 == pytest.approx(brightness + 0.05, abs=0.06)
    in_turn = run("--samples", "4")
    assert in_turn[1:33, 1:33].mean() < 40 < in_turn[1:33, 35:67].mean()
    with pytest.raises(SystemExit) as ended:
        run("--label", "seven")
    assert ended.value.code == 2
    assert "--label seven: must be one of zero, one" in capsys.readouterr().err


def test_vectors_are_read_from_a_file(program, tmp_path, capsys):
    run = program(generator(OfVectors(5, 3), "vector", torch.randn(4, 3)))
    sheets = []
    for value in (-9.0, 9.0):
        save_file({"condition": torch.full((2, 3), value)}, tmp_path / "mine.safetensors")
        sheets.append(run("--conditions", str(tmp_path / "mine.safetensors")))
    assert sheets[0][1:33, 1:33].mean() + 100 < sheets[1][1:33, 1:33].mean()
    with pytest.raises(SystemExit):
        run("--conditions", str(tmp_path / "none.safetensors"))
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--samples", "0"], ["--truncation", "0"], ["--truncation", "2"], ["--device", "x"]])
def test_wrong_input_is_one_error(program, wrong, capsys):
    run = program(generator(Plain(5)))
    with pytest.raises(SystemExit) as ended:
        run(*wrong)
    assert ended.value.code == 2
    assert f"error: {wrong[0]} {wrong[1]}" in capsys.readouterr().err


@pytest.mark.slow
def test_every_format_takes_noise_and_labels(tmp_path):
    module = OfLabels(5, 3).eval()
    part = generator(module, "label", torch.tensor([0, 1, 2, 0]))
    export_model(part, tmp_path / "x", card=CARD)
    noise, labels = torch.randn(7, 5), torch.arange(7) % 3
    session = onnxruntime.InferenceSession(str(tmp_path / "x" / "model.onnx"))
    assert [one.name for one in session.get_inputs()] == ["noise", "condition"]
    assert [one.name for one in session.get_outputs()] == ["images"]
    found = session.run(None, {"noise": noise.numpy(), "condition": labels.numpy()})[0]
    assert np.allclose(found, module(noise, labels).detach().numpy(), atol=1e-5)
    kept = load_file(tmp_path / "x" / "samples.safetensors")
    assert set(kept) == {"noise", "condition"}
    card = (tmp_path / "x" / "README.md").read_text()
    assert "zero, one, it's &lt;two&gt;" in card
    assert "inputs `noise`, `condition`, output `images`" in card


def test_a_discriminator_scores_pictures(tmp_path):
    part = Deliverable(
        Critic(3),
        {"images": torch.rand(4, 1, 8, 8), "condition": torch.tensor([0, 1, 2, 0])},
        ("scores",),
        "discriminator",
        {"condition": "label"},
    )
    export_model(part, tmp_path / "x", card=CARD, formats=("python",))
    Image.new("L", (8, 8), 200).save(tmp_path / "mine.png")
    run = [sys.executable, str(tmp_path / "x" / "model.py"), str(tmp_path / "mine.png"), "--label", "1"]
    ran = subprocess.run(run, capture_output=True, text=True, check=True)
    score = part.module(torch.full((1, 1, 8, 8), 200 / 255), torch.tensor([1])).item()
    assert ran.stdout.strip().endswith(f": {score:.4f}")
