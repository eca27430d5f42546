"""The exported autoencoder of sequences reads the user's own recordings and arrays, and finds the unusual windows."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.autoencoder.task import AutoencoderTask
from nas.core.space import sample
from nas.data.dataset import Dataset, Split
from nas.data.sources.wav import read_recording
from nas.data.splitting import standardise_data
from nas.export import folder
from nas.export.folder import export_model
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.parts.export import CARD
from tests.parts.recordings import write_recording

SHAPE = (2, 21)


@pytest.fixture(
    scope="module",
    params=[("convolutional", "plain", "gru"), ("recurrent", "variational", "gru"), ("recurrent", "plain", "lstm"),
            ("convolutional", "variational", "gru")],
    ids="-".join,
)  # fmt: skip
def program(request, tmp_path_factory):
    network, family, layer = request.param
    examples = 5 + 3 * torch.randn(60, *SHAPE, generator=torch.Generator().manual_seed(0))
    examples[0, 0, 0] = float("nan")
    data = standardise_data(Dataset("s", *(Split(part) for part in examples.split(20))))
    pins = {"network": (network,), "family": (family,), "latent": (4,), "recurrent_layer": (layer,), "width": (8,)}
    pins["prior"] = ("mixture" if network == "convolutional" else "standard",)
    space = AutoencoderSpace().conditioned(None).shaped(SHAPE)
    space = space.restrict({"network": pins.pop("network"), "family": pins.pop("family")})
    space = space.restrict({site: values for site, values in pins.items() if site in space.choices()})
    torch.manual_seed(0)
    genotype = sample(space, np.random.default_rng(0))
    model = space.build(genotype, SHAPE).eval()
    (part,) = AutoencoderTask(space, data).deliverables(genotype, model).values()
    made = tmp_path_factory.mktemp("exports") / "model"
    card = replace(CARD, shape=SHAPE, kind="sequence")
    formats = ("python", "onnx", "program") if request.param[:2] == ("recurrent", "variational") else ("python", "onnx")
    export_model(part, made, card=card, formats=formats)  # which compares them with the model
    export_model(part, made, card=card, formats=("python",))  # which replaces it
    return folder._import_file(made / "model.py"), model, data, made


def test_it_comes_with_reconstructions_a_picture_and_a_card(program):
    _, model, data, made = program
    examples = data.test.examples[:16]
    with torch.no_grad():
        wanted = model(examples)
    scales = torch.tensor([[column.mean, column.deviation] for column in data.columns])
    found = torch.from_numpy(np.load(made / "reconstructions.npy"))
    assert torch.allclose(found, wanted * scales[:, 1:] + scales[:, :1], atol=1e-3)
    with Image.open(made / "reconstructions.png") as picture:
        assert picture.size == (4 * 320, 4 * 120)
        assert len(picture.getcolors(10**6)) > 3  # both channels, and grey
    with (made / "reconstructions.csv").open() as file:
        rows = list(csv.DictReader(file))
    errors = (wanted - examples).square().flatten(1).nanmean(1)
    assert [float(row["error"]) for row in rows] == pytest.approx(errors.tolist(), rel=1e-3)
    card = (made / "README.md").read_text()
    assert "reconstructions.png" in card
    assert "channels, steps" in card
    assert ("--samples 64" in card) == model.variational


def test_recordings_and_arrays_of_ones_own_are_cut_and_scaled(program, tmp_path, capsys, monkeypatch):
    module, model, data, _ = program
    sound = np.random.default_rng(1).uniform(-0.9, 0.9, (2, 50))
    write_recording(tmp_path / "a.wav", sound)
    samples, _ = read_recording(tmp_path / "a.wav")
    windows = module.read(str(tmp_path / "a.wav"))
    assert np.array_equal(windows, np.stack([samples[:, :21], samples[:, 21:42]]))
    numbers = np.random.default_rng(2).normal(5, 3, (3, *SHAPE))
    numbers[0, 1, 3:6] = np.nan
    np.save(tmp_path / "b.npy", numbers)
    monkeypatch.chdir(tmp_path)
    assert module.main(["a.wav", "b.npy"]) == 0
    assert "reconstructions.npy: 5 sequences" in capsys.readouterr().out
    both = torch.cat((windows, torch.from_numpy(numbers).float()))
    with torch.no_grad():
        wanted = module.unscale(model(module.scale(both)))
    assert torch.allclose(torch.from_numpy(np.load("reconstructions.npy")), wanted, atol=1e-3)
    with open("reconstructions.csv") as file:
        assert [(row["file"], row["window"]) for row in csv.DictReader(file)] == [
            ("a.wav", "0"), ("a.wav", "1"), ("b.npy", "0"), ("b.npy", "1"), ("b.npy", "2"),
        ]  # fmt: skip
    assert module.main(["b.npy", "--codes"]) == 0
    with open("codes.csv") as file:
        codes = [[float(value) for value in row.values()] for row in csv.DictReader(file)]
    with torch.no_grad():
        assert np.allclose(codes, model.encode(module.scale(both[2:])), atol=1e-4)
    scaled = module.scale(both[2:])
    assert scaled[1, 0, 0].item() == pytest.approx(
        (numbers[1, 0, 0] - data.columns[0].mean) / data.columns[0].deviation
    )


def test_variational_ones_draw_sequences(program, tmp_path):
    module, model, _, _ = program
    if not model.variational:
        with pytest.raises(SystemExit):
            module.main(["--samples", "4"])
        return
    assert module.main(["--samples", "5", "--seed", "2", "--output", str(tmp_path / "new.npy")]) == 0
    sampler = model.make_sampler() or torch.nn.Identity()
    noise = torch.randn(5, 4 + getattr(sampler, "more_noise", 0), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        wanted = module.unscale(model.decode(sampler(noise)))
    assert torch.allclose(torch.from_numpy(np.load(tmp_path / "new.npy")), wanted, atol=1e-3)
    assert (tmp_path / "new.png").is_file()
    assert module.main(["--samples", "0"]) == 2


def test_files_that_do_not_fit_are_refused_in_one_line(program, tmp_path, capsys):
    module = program[0]
    write_recording(tmp_path / "mono.wav", np.zeros((1, 50)))
    write_recording(tmp_path / "short.wav", np.zeros((2, 20)))
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    np.save(tmp_path / "flat.npy", np.zeros((3, 21)))
    np.save(tmp_path / "words.npy", np.array(["a"]))
    (tmp_path / "text.npy").write_text("text")
    for name, message in (
        ("mono.wav", "has 1 channels, not 2"),
        ("short.wav", "is shorter than a window of 21 samples"),
        ("bad.wav", "bad.wav: "),
        ("flat.npy", "has the shape (3, 21), not (N, 2, 21)"),
        ("words.npy", "is no array of numbers"),
        ("text.npy", "pickle"),
        ("none.npy", "No such file"),
    ):
        assert module.main([str(tmp_path / name)]) == 2
        said = capsys.readouterr().err.strip()
        assert message in said
        assert "\n" not in said
