"""CycleGANs are searched, resumed and exported as GANs are."""

import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

import nas
from evaluators.features.training import RECIPES
from nas.cli import run as nas_command
from nas.core.evaluator import Deliverable
from nas.data.pairs import load_pair
from nas.data.sources import digits
from nas.export import folder
from nas.session.arguments import collect_objects, configure_search, make_data_set
from nas.session.delivery import export_model
from tests.conftest import export_only_python
from tests.parts.command_line import refused
from tests.parts.export import CARD

TINY = {
    "*generator.width": 8, "*discriminator.width": 8, "*generator.blocks": 1, "directions": "alike", "batch": 16,
    "generator.up_sampling": "pixel_shuffle", "generator.skips": True, "generator.padding": "reflect",
}  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One trial, whose best is exported in Python alone, and then another one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(RECIPES, "self_supervised", replace(RECIPES["self_supervised"], images=1_000))
        patch.setattr(
            "evaluators.adversarial.snapshots.find_collapse", lambda *found: None
        )  # a moment's training is all but collapsed
        patch.setattr("evaluators.adversarial.snapshots.find_deviation_collapse", lambda *found: None)
        options = {"trials": 1, "epochs": 1, "train_size": 64, "pin": TINY, "features": "self_supervised"}
        runs_dir = tmp_path_factory.mktemp("runs")
        with patch.context() as quicker:
            export_only_python(quicker)
            nas.search("cyclegan", "digits", data_b="inverted:digits", runs_dir=runs_dir, name="both", **options)
        yield nas.resume(runs_dir / "both", trials=2)


@pytest.mark.slow
def test_both_ways_are_exported_and_both_sets_are_named(run, tmp_path, capsys):
    best = run.path / "best"
    Image.fromarray(np.full((20, 10, 3), 200, dtype=np.uint8)).save(tmp_path / "mine.jpg")
    module = folder._import_file(best / "model.py")
    assert module.main(["--input", str(tmp_path / "mine.jpg"), "--output", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out" / "mine.png") as picture:
        assert (picture.mode, picture.size) == ("L", (8, 8))
    assert (best / "translations.png").is_file()
    card = (best / "README.md").read_text()
    assert "Translates images of digits into images of inverted:digits." in card
    assert "cyclegan for digits and inverted:digits" in card
    assert "b sources\\_sha256" in card
    assert "| cycle\\_error |" in card
    back = export_model(run, part="b_to_a", formats=("python",))
    assert back == run.path / "best-b_to_a"
    assert "Translates images of inverted:digits into images of digits." in (back / "README.md").read_text()
    assert nas_command(["show", str(run.path)]) == 0
    assert "digits and inverted:digits" in capsys.readouterr().out
    assert "digits and inverted:digits" in (run.path / "report.html").read_text()


@pytest.mark.slow
def test_a_run_is_resumed_with_both_sets(run):
    assert len(run.trials) == 2
    opened = nas.open_run(run.path)
    assert opened.config.dataset_b == "inverted:digits"
    assert opened.best.model()(torch.rand(2, 1, 8, 8)).shape == (2, 1, 8, 8)


@pytest.mark.slow
@pytest.mark.usefixtures("only_python")
def test_the_best_is_trained_in_full_on_both_sets(run):
    trained = nas.train(run, 2, name="full")
    assert trained.config.data_sets == ["digits", "inverted:digits"]
    assert [measurement.epoch for measurement in trained.trials[0].measurements] == [1, 2]
    assert trained.best.genotype == run.best.genotype
    assert trained.config.train_size == 64
    with pytest.raises(nas.UserError, match="--dataset-b: "):
        nas.train(run, 2, data="digits", name="alone")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--space", "cyclegan"], "--dataset-b: --space cyclegan translates between two sets of images"),
        (["--dataset-b", "digits"], "--dataset-b 'digits': --space autoencoder takes one data set"),
        (["--space", "gan", "--dataset-b", "digits"], "--space gan takes one data set; allowed: spaces that translate"),
        (["--space", "cyclegan", "--dataset-b", "digitz"], "--dataset-b 'digitz': unknown, did you mean 'digits'"),
        (
            ["--space", "cyclegan", "--dataset-b", "rotated:digits", "--evaluator", "gan"],
            "--evaluator 'gan': does not fit --space cyclegan",
        ),
        (["--evaluator", "cyclegan"], "--evaluator 'cyclegan': does not fit --space autoencoder"),
        (["--space", "cyclegan", "--dataset-b", "rotated:digits", "--strategy", "darts"], "--strategy"),
    ],
)
def test_what_does_not_go_together_is_one_line(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "search", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_fingerprint_covers_both_sets():
    pair, other = load_pair("digits", "inverted:digits"), load_pair("digits", "rotated:digits")
    assert pair.fingerprint[:16] == other.fingerprint[:16] == pair.a.fingerprint
    assert pair.fingerprint[16:] != other.fingerprint[16:]


def test_arrays_are_given_again(tmp_path):
    images = digits.load_digits().pool.examples[:100, 0].numpy()
    with pytest.raises(nas.UserError, match="data_b 'list'"):
        nas.search("cyclegan", {"x_train": images}, data_b=[1], trials=1, runs_dir=tmp_path)
    config = configure_search("cyclegan", {"x_train": images}, {"x_train": images}, "random", None, None, {})[0]
    given = collect_objects(config, "cyclegan", {"x_train": images}, {"x_train": images}, "random", None)
    parts = nas.session.assembly.assemble(config, given)
    assert parts.data.name == "arrays and arrays"
    assert parts.evaluator.data is parts.data
    assert parts.epochs == 177  # as many as show 12,000 of 68 images
    with pytest.raises(nas.UserError, match="data_b 'arrays': must be given again"):
        nas.session.assembly.assemble(
            config, nas.session.assembly.Given(data=make_data_set({"x_train": images}, config))
        )


# -- the program of a translator


class Inverts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.one - images


@pytest.fixture
def program(tmp_path):
    """The program of a translator that inverts, and its folder."""
    images = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    settings = {"source": 'npz:a"""b.npz', "target": "{{ b }}", "part": "a_to_b"}
    part = Deliverable(Inverts(), {"images": images}, ("translations",), "translator", settings)
    folder.export_model(part, tmp_path / "x", card=CARD, formats=("python",))
    return folder._import_file(tmp_path / "x" / "model.py"), tmp_path / "x"


def test_a_folder_of_pictures_is_translated(program, tmp_path):
    module, _ = program
    (tmp_path / "in" / "deeper").mkdir(parents=True)
    pixels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for name in ("b.png", "a.bmp"):
        Image.fromarray(pixels).save(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    assert module.main(["--input", str(tmp_path / "in"), "--output", str(tmp_path / "out" / "deep")]) == 0
    assert sorted(path.name for path in (tmp_path / "out" / "deep").iterdir()) == ["a.png", "b.png"]
    with Image.open(tmp_path / "out" / "deep" / "a.png") as picture:
        assert np.array_equal(np.asarray(picture), 255 - pixels)


def test_without_pictures_the_samples_are_drawn_with_their_translations_below(program, tmp_path):
    module, where = program
    assert (where / "translations.png").is_file()
    assert module.main(["--output", str(tmp_path / "mine.png")]) == 0
    with Image.open(tmp_path / "mine.png") as picture:
        drawn = np.asarray(picture).astype(int)
    assert drawn.shape == (2 * 34, 4 * 34)
    images = load_file(where / "samples.safetensors")["images"]
    assert abs(drawn[1, 1] - 255 * images[0, 0, 0, 0].item()) <= 1
    assert abs(drawn[35, 1] - (255 - 255 * images[0, 0, 0, 0].item())) <= 1


def test_wrong_pictures_are_one_error(program, tmp_path, capsys):
    module, _ = program
    (tmp_path / "empty").mkdir()
    (tmp_path / "two").mkdir()
    for name in ("a.png", "a.bmp"):
        Image.new("L", (8, 8)).save(tmp_path / "two" / name)
    (tmp_path / "torn.png").write_bytes(b"torn")
    for arguments, message in (
        (["--input", str(tmp_path / "empty")], "holds no picture"),
        (["--input", str(tmp_path / "two")], "a.bmp and a.png would both be written as a.png"),
        (["--input", str(tmp_path / "two" / "a.png"), "--output", str(tmp_path / "two")], "must be another folder"),
        (["--device", "x"], "--device x"),
    ):
        with pytest.raises(SystemExit) as ended:
            module.main(arguments)
        assert ended.value.code == 2
        assert message in capsys.readouterr().err
    for missing in ("torn.png", "none.png"):
        assert module.main(["--input", str(tmp_path / missing), "--output", str(tmp_path / "out")]) == 2
        assert "cannot be read" in capsys.readouterr().err


@pytest.mark.slow
def test_every_format_translates(run):
    best = run.path / "best"
    session = onnxruntime.InferenceSession(str(best / "model.onnx"))
    assert [one.name for one in session.get_outputs()] == ["translations"]
    images = torch.rand(5, 1, 8, 8)
    found = session.run(None, {"images": images.numpy()})[0]
    with torch.no_grad():
        wanted = run.best.model().a_to_b(images).numpy()
    assert np.allclose(found, wanted, atol=1e-4)
    program = torch.export.load(best / "model.pt2").module()
    assert np.allclose(program(images).detach().numpy(), wanted, atol=1e-4)
    protocols = [json.loads(path.read_text()) for path in (run.path / "artifacts").rglob("*") if path.suffix == ".json"]
    assert all("a extractor_sha256" in protocol for protocol in protocols)
