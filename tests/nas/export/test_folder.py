"""What is exported stands alone and is the trained model."""

import ast
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from nas.core.errors import ExportMismatch, NotExportable, UserError
from nas.core.evaluator import Deliverable
from nas.core.space import sample
from nas.export import folder
from nas.export.card import Card, render_card
from nas.export.onnx import export_onnx, load_onnx
from nas.export.program import capture_program
from nas.export.python_source import _print_call, print_source
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.parts.export import CARD


def export_model(model, images, directory, **options):
    folder.export_model(
        Deliverable(model, {"images": images}, ("reconstructions",), "autoencoder"), directory, **options
    )


SPACE = (
    AutoencoderSpace()
    .conditioned(None)
    .restrict({"latent": (8,), "width": (8, 16), "decoder_width": (8,), "hidden_width": (64,)})
)


def candidate(seed, shape, **pins):
    space = SPACE.restrict({site: (value,) for site, value in pins.items()})
    genotype = sample(space, np.random.default_rng(seed))
    torch.manual_seed(seed)
    model = space.build(genotype, shape).train()
    for _ in range(3):  # statistics of batch normalisation that are not the initial ones
        model(torch.rand(8, *shape))
    return genotype, model


def card(genotype, shape=(1, 8, 8)):
    return Card(
        title="a title",
        description='a "description" with \\ and """ in it',
        genotype=genotype,
        shape=shape,
        kind="image",
        dataset="digits",
        parts="10 to train",
        notes=(),
        objectives=("mse",),
        metrics={"mse": 0.01, "parameters": 12345.0},
        test={"mse": 0.02},
        hyperparameters={"loss": "mse"},
        epochs=2,
        seed=1,
        strategy="random",
        run="run",
        trial=3,
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    shape = (3, 13, 10)
    genotype, model = candidate(1, shape, network="convolutional", family="plain", normalisation="batch", stages=2)
    directory = tmp_path_factory.mktemp("export") / "best"
    samples = torch.randint(0, 255, (20, *shape), dtype=torch.uint8)
    export_model(model, samples, directory, card=card(genotype, shape))
    assert model.training  # the model comes back as it was
    return directory, model.eval(), samples[:16].float() / 255


def alone(directory, program, *arguments):
    """Run Python in the folder, isolated, with our packages refused."""
    guard = (
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('nas', 'search_spaces', 'evaluators'):\n"
        "            raise ImportError('refused: ' + name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        "sys.path.insert(0, '.')\n"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", guard + program, *arguments], cwd=directory, capture_output=True, text=True
    )


def test_python_in_a_fresh_process(exported):
    directory, model, images = exported
    save_file({"images": images}, directory / "in.safetensors")
    ran = alone(
        directory,
        "import model, torch\nfrom safetensors.torch import load_file, save_file\n"
        "with torch.no_grad(): out = model.load()(load_file('in.safetensors')['images'])\n"
        "save_file({'out': out}, 'out.safetensors')",
    )
    assert ran.returncode == 0, ran.stderr
    with torch.no_grad():
        assert torch.allclose(load_file(directory / "out.safetensors")["out"], model(images), atol=1e-5)


def test_program_in_a_fresh_process(exported):
    directory, model, images = exported
    save_file({"images": images[:5].contiguous()}, directory / "in5.safetensors")
    ran = alone(
        directory,
        "import torch\nfrom safetensors.torch import load_file, save_file\n"
        "out = torch.export.load('model.pt2').module()(load_file('in5.safetensors')['images'])\n"
        "save_file({'out': out.detach()}, 'out5.safetensors')",
    )
    assert ran.returncode == 0, ran.stderr
    with torch.no_grad():
        assert torch.allclose(load_file(directory / "out5.safetensors")["out"], model(images[:5]), atol=1e-5)


def test_onnx_in_a_fresh_process_without_torch(exported):
    directory, model, images = exported
    np.save(directory / "in.npy", images[:3].numpy())
    ran = alone(
        directory,
        "import numpy, onnxruntime\nsession = onnxruntime.InferenceSession('model.onnx')\n"
        "numpy.save('out.npy', session.run(None, {'images': numpy.load('in.npy')})[0])\n"
        "assert 'torch' not in sys.modules",
    )
    assert ran.returncode == 0, ran.stderr
    with torch.no_grad():
        assert np.allclose(np.load(directory / "out.npy"), model(images[:3]).numpy(), atol=1e-4)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_onnx_takes_any_batch(exported, batch):
    directory, model, images = exported
    with torch.no_grad():
        assert torch.allclose(
            load_onnx(directory / "model.onnx")({"images": images[:batch]})[0], model(images[:batch]), atol=1e-4
        )


def test_running_the_file_draws_a_picture(exported, tmp_path, capsys):
    directory, _, _ = exported
    drawing = ["--output", str(tmp_path / "out.png"), "--count", "3"]
    run = [sys.executable, str(directory / "model.py"), *drawing]
    ran = subprocess.run(run, capture_output=True, text=True, check=True)
    assert "mean squared error" in ran.stdout
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (3 * (4 * 10 + 2), 2 * (4 * 13 + 2))
    Image.new("L", (50, 40), 200).save(tmp_path / "mine.png")
    assert folder._import_file(directory / "model.py").main([*drawing, str(tmp_path / "mine.png")]) == 0
    assert "1 reconstructed" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["none.png"], ["--count", "0"]])
def test_wrong_input_of_the_file_is_refused(exported, arguments):
    with pytest.raises(SystemExit) as ended:
        sys.exit(folder._import_file(exported[0] / "model.py").main(arguments))  # as it does where it is run
    assert ended.value.code == 2


def test_the_source_imports_nothing_of_ours_and_only_what_is_used(exported):
    tree = ast.parse((exported[0] / "model.py").read_text())
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in modules if name.split(".")[0] in ("nas", "search_spaces", "evaluators")}
    stored = load_file(exported[0] / "weights.safetensors")
    assert set(stored) == set(exported[1].state_dict())


def test_a_mismatch_is_loud_and_leaves_nothing(tmp_path, monkeypatch):
    genotype, model = candidate(0, (1, 8, 8), network="fully_connected")
    monkeypatch.setattr(folder, "_load_python", lambda path: lambda inputs: inputs["images"])
    with pytest.raises(ExportMismatch, match=r"model\.py"):
        export_model(model, torch.rand(4, 1, 8, 8), tmp_path / "x", card=card(genotype), formats=("python",))
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_captured_once_for_onnx_and_program(tmp_path, monkeypatch):
    genotype, model = candidate(0, (1, 8, 8), network="fully_connected")
    captured = []
    monkeypatch.setattr(
        folder, "capture_program", lambda *given: captured.append(capture_program(*given)) or captured[0]
    )
    export_model(model, torch.rand(4, 1, 8, 8), tmp_path / "x", card=card(genotype), formats=("onnx", "program"))
    assert len(captured) == 1
    axes = onnx.load(tmp_path / "x" / "model.onnx").graph.input[0].type.tensor_type.shape.dim
    assert axes[0].dim_param == "batch"


class Halves(nn.Module):
    """Two outputs."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x + 1, x * 2


class Deciding(nn.Module):
    """Python computes with a size, which a trace would take for a constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * max(1, int(x.shape[1]))


class Dividing(nn.Module):
    """A size of the batch is part of the numbers."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sum(0, keepdim=True).expand(x.shape[0], -1) / x.shape[0]


@pytest.mark.parametrize(
    ("module", "programs"), [(nn.Linear(4, 2), 0), (Halves(), 0), (Dividing(), 0), (Deciding(), 1)]
)
def test_the_quick_exporter_is_used_unless_python_decides_something(module, programs, tmp_path):
    captured, given = [], {"x": torch.rand(5, 4)}

    def capture():
        captured.append(module)
        return capture_program(module, given)

    outputs = ("more", "double") if isinstance(module, Halves) else ("found",)
    export_onnx(module, given, outputs, tmp_path / "it.onnx", capture)
    assert len(captured) == programs
    for count in (1, 3, 9):
        x = torch.rand(count, 4)
        with torch.no_grad():
            wanted = module(x)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        for one, other in zip(load_onnx(tmp_path / "it.onnx")({"x": x}), wanted, strict=True):
            assert torch.allclose(one, other, atol=1e-5)


def test_folders_of_others_are_not_overwritten_and_earlier_exports_are(tmp_path):
    genotype, model = candidate(0, (1, 8, 8), network="fully_connected", family="variational")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    samples = torch.rand(4, 1, 8, 8)
    with pytest.raises(UserError, match="--output"):
        export_model(model, samples, tmp_path / "mine", card=card(genotype), formats=())
    for formats in (("python",), ()):
        export_model(model, samples, tmp_path / "x", card=card(genotype), formats=formats)
    assert not (tmp_path / "x" / "model.py").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "x"}
    with pytest.raises(UserError, match="did you mean 'onnx'"):
        export_model(model, samples, tmp_path / "y", card=card(genotype), formats=("onx",))


def test_the_card_escapes_what_users_supply():
    genotype, _ = candidate(0, (1, 8, 8), network="fully_connected")
    nasty = replace(card(genotype), dataset="<img src=x onerror=alert(1)>|`x`", notes=("</details>\n# head",))
    text = render_card(nasty, ("python",), Deliverable(nn.Identity(), {}, ("reconstructions",), "autoencoder"))
    assert "<img" not in text
    assert "</details>" not in text
    assert "\n# head" not in text
    assert "\\|\\`x\\`" in text


@pytest.mark.parametrize("seed", range(12))
def test_any_genotype_prints_as_source_that_builds_it(seed):
    check_that_source_builds(*candidate(seed, [(1, 8, 8), (3, 9, 6)][seed % 2]), [(1, 8, 8), (3, 9, 6)][seed % 2])


@pytest.mark.parametrize("cells", ["edge", "hierarchical", "graph"])
@pytest.mark.parametrize("seed", range(4))
def test_cells_of_every_encoding_print_as_source(cells, seed):
    shape = [(1, 8, 8), (3, 9, 6)][seed % 2]
    check_that_source_builds(*candidate(seed, shape, network="convolutional", cells=cells), shape)


def check_that_source_builds(genotype, model, shape):
    names = {"torch": torch, "nn": nn, "F": nn.functional, "Tensor": torch.Tensor, "__name__": "printed"}
    source = "from __future__ import annotations\n" + print_source(model)
    exec(compile(source, "model.py", "exec"), names)
    again = names["build"]()
    again.load_state_dict(model.state_dict())
    images = torch.rand(3, *shape)
    assert torch.equal(again.eval()(images), model.eval()(images))
    assert max(map(len, source.splitlines())) <= 120


@pytest.mark.parametrize(
    "module",
    [
        nn.Conv2d(3, 4, (3, 5), padding=(1, 2), bias=False, dilation=2, padding_mode="reflect"),
        nn.ConvTranspose2d(4, 2, 3, 2, 1, 1),
        nn.Linear(3, 4, bias=False),
        nn.BatchNorm2d(4, momentum=0.05, affine=False),
        nn.BatchNorm1d(4),
        nn.GroupNorm(2, 4),
        nn.LayerNorm((4, 4)),
        nn.InstanceNorm2d(4, affine=True),
        nn.PixelShuffle(2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.AvgPool2d(3, 1, padding=1, count_include_pad=False),
        nn.MaxPool2d(2, ceil_mode=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Unflatten(1, (2, 2, 2)),
        nn.Identity(),
        nn.LeakyReLU(0.2),
        nn.ELU(),
        nn.GELU("tanh"),
        nn.SiLU(),
        nn.Hardtanh(0.0, 1.0),
        nn.Dropout(0.3),
        nn.Embedding(5, 3),
        nn.ReflectionPad2d(2),
    ],
)
def test_layers_print_as_what_makes_them(module):
    again = eval(_print_call(module, "model", 0), {"nn": nn})
    assert repr(again) == repr(module)
    assert {k: v.shape for k, v in again.state_dict().items()} == {k: v.shape for k, v in module.state_dict().items()}


def test_what_cannot_be_printed_is_named():
    class Forgets(nn.Module):
        def __init__(self, width):
            super().__init__()

        def forward(self, x):
            return x

    with pytest.raises(NotExportable, match=r"model\.1.*width"):
        print_source(nn.Sequential(nn.ReLU(), Forgets(3)))


@pytest.mark.parametrize("names", [("more", "double"), ("one",)])
def test_a_tuple_of_outputs_is_exported_under_its_names(names, tmp_path):
    part = Deliverable(Halves(), {"x": torch.rand(3, 4)}, names, "model")
    if len(names) == 1:
        with pytest.raises(ExportMismatch, match=r"model\.py: .* 2 and 2 outputs; their names are one"):
            folder.export_model(part, tmp_path / "it", card=CARD, formats=("python",))
        return
    folder.export_model(part, tmp_path / "it", card=CARD)
    more, double = load_onnx(tmp_path / "it" / "model.onnx")(part.inputs)
    assert torch.allclose(more, part.inputs["x"] + 1)
    assert torch.allclose(double, part.inputs["x"] * 2)
    assert "more, double = network(x)" in (tmp_path / "it" / "README.md").read_text()
