"""An exported variational autoencoder draws new images as well as it reconstructs."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from evaluators.autoencoder.task import AutoencoderTask
from nas.core.space import sample
from nas.export import folder
from nas.export.folder import export_model
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import SMALL, tiny_data
from tests.parts.export import CARD

SPACE = (
    AutoencoderSpace().conditioned(None).restrict({site: (value,) for site, value in SMALL.items()} | {"latent": (8,)})
)


def deliverables(**pins):
    space = SPACE.restrict({site: (value,) for site, value in pins.items()})
    genotype = sample(space, np.random.default_rng(0))
    torch.manual_seed(0)
    model = space.build(genotype, (1, 8, 8)).eval()
    return model, AutoencoderTask(space, tiny_data()).deliverables(genotype, model)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model, parts = deliverables(family="variational", prior="standard", likelihood="continuous_bernoulli")
    made = tmp_path_factory.mktemp("export")
    for name, part in parts.items():
        export_model(part, made / name, card=CARD, formats=("python", "onnx") if name == "decoder" else ("python",))
    return model, made


def size_of(path):
    with Image.open(path) as picture:
        return picture.size


def test_the_autoencoder_draws_samples_of_the_prior(exported, tmp_path, capsys):
    model, made = exported
    program = folder._import_file(made / "autoencoder" / "model.py")
    assert program.main(["--samples", "11", "--seed", "3", "--output", str(tmp_path / "new.png")]) == 0
    assert "11 samples, seed 3" in capsys.readouterr().out
    assert size_of(tmp_path / "new.png") == (8 * (4 * 8 + 2), 2 * (4 * 8 + 2))
    noise = torch.randn(11, 8, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        assert torch.allclose(program.sample(program.load(), 11, 3), model.decode(noise), atol=1e-5)
    assert program.main(["--output", str(tmp_path / "old.png"), "--count", "3"]) == 0
    assert "3 reconstructed" in capsys.readouterr().out
    assert "--samples 64" in (made / "autoencoder" / "README.md").read_text()


@pytest.mark.parametrize("arguments", [["--samples", "0"], ["--samples", "2", "mine.png"]])
def test_samples_that_cannot_be_drawn_are_refused(exported, arguments, capsys):
    program = folder._import_file(exported[1] / "autoencoder" / "model.py")
    with pytest.raises(SystemExit) as ended:
        sys.exit(program.main(arguments))
    assert ended.value.code == 2
    assert "--samples" in capsys.readouterr().err


def test_the_decoder_is_a_generator_of_its_own(exported, tmp_path):
    model, made = exported
    program = folder._import_file(made / "decoder" / "model.py")
    assert program.main(["--samples", "4", "--output", str(tmp_path / "new.png")]) == 0
    noise = program.noise(5, seed=2)
    with torch.no_grad():
        assert torch.allclose(program.load()(noise), model.decode(noise), atol=1e-5)
    assert (made / "decoder" / "samples.png").is_file()


def test_other_families_have_no_prior_to_draw_from(tmp_path):
    _, parts = deliverables(family="plain")
    assert list(parts) == ["autoencoder"]
    export_model(parts["autoencoder"], tmp_path / "plain", card=CARD, formats=("python",))
    assert "--samples" not in (tmp_path / "plain" / "model.py").read_text()
    assert "--samples" not in (tmp_path / "plain" / "README.md").read_text()


def test_values_of_8_bits_are_drawn_from_what_an_exported_decoder_gives(tmp_path):
    model, parts = deliverables(family="variational", prior="standard", likelihood="discretised_logistic")
    export_model(parts["autoencoder"], tmp_path, card=CARD, formats=("python",))
    loaded, codes = folder._import_file(tmp_path / "model.py").load(), torch.randn(4, 8)
    with torch.no_grad():
        drawn = [one.output.draw(one.decoder(codes)) for one in (loaded, model) if torch.manual_seed(1)]
    assert drawn[0].shape == (4, 1, 8, 8)
    assert torch.equal(*drawn)
    assert torch.equal((drawn[0] * 255).round() / 255, drawn[0])
