"""Exported programs read pictures as the training did, and write as many channels as the model has."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from nas.core.evaluator import Deliverable
from nas.core.picture_rule import USUAL_PICTURES, PictureRule
from nas.data.loading import load_data
from nas.export import folder
from tests.parts.export import CARD


def export_reader(directory, shape, pictures=USUAL_PICTURES, program="autoencoder", **settings):
    part = Deliverable(nn.Identity(), {"images": torch.rand(4, *shape)}, ("out",), program, settings, pictures)
    folder.export_model(part, directory / "x", card=replace(CARD, shape=shape), formats=("python",))
    return folder._import_file(directory / "x" / "model.py")


def save_set(path, bits, mode):
    """Pictures that use every rule: turned, deep or transparent."""
    generator = np.random.default_rng(0)
    exif = Image.Exif()
    for number in range(12):
        exif[0x0112] = 1 + number % 8
        if bits > 8:
            values = generator.integers(0, 2**bits, (8, 8)).astype(np.uint16)
            values[0, 0] = 2**bits - 1
            picture = Image.fromarray(values)
        else:
            picture = Image.fromarray(generator.integers(0, 256, (8, 8, 4), dtype=np.uint8)).convert(mode)
        picture.save(path / f"{number:02}.{'tif' if number % 2 else 'png'}", exif=exif)


@pytest.mark.parametrize(
    ("bits", "mode", "options"),
    [(8, "RGBA", {}), (8, "RGBA", {"background": "#336699"}), (8, "RGBA", {"channels": "RGBA"}), (8, "LA", {}),
     (8, "RGBA", {"channels": "L"}), (8, "RGB", {}), (8, "P", {}), (12, "I;16", {}), (16, "I;16", {}),
     (10, "I;16", {})],
)  # fmt: skip
def test_a_picture_is_read_as_the_source_read_it(bits, mode, options, tmp_path):
    (tmp_path / "set").mkdir()
    save_set(tmp_path / "set", bits, mode)
    data = load_data(f"folder:{tmp_path / 'set'}", **options)
    module = export_reader(tmp_path, data.shape, data.pictures)
    known = {tuple(image.flatten().tolist()) for p in (data.train, data.validation, data.test) for image in p.examples}
    read = [module.read_picture(str(path))[0] for path in sorted((tmp_path / "set").iterdir())]
    assert all(tuple(torch.round(image * 255).int().flatten().tolist()) in known for image in read)
    assert len(known) == 12


def test_pictures_of_zeros_and_ones_stay_black_and_white(tmp_path):
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "x.png")
    module = export_reader(tmp_path, (1, 8, 8), PictureRule(binary=True))
    assert torch.equal(module.read_picture(str(tmp_path / "x.png"))[0, 0], torch.eye(8))


def test_a_picture_of_fractions_is_read(tmp_path):
    Image.fromarray(np.full((8, 8), 0.2, np.float32)).save(tmp_path / "x.tif")
    module = export_reader(tmp_path, (1, 8, 8))
    assert (module.read_picture(str(tmp_path / "x.tif")) * 255).unique().tolist() == [51]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "RGB"), (3, "RGB"), (4, "RGBA")])
@pytest.mark.parametrize("program", ["autoencoder", "translator"])
def test_programs_draw_as_many_channels_as_there_are(channels, mode, program, tmp_path):
    module = export_reader(tmp_path, (channels, 8, 6), program=program, source="a", target="b")
    drawn = tmp_path / "x" / folder.PRODUCTS[program]
    with Image.open(drawn) as picture:
        assert picture.mode == mode
    image = 0.1 + 0.9 * torch.rand(channels, 8, 6)  # all is seen
    module.picture_of(image).save(tmp_path / "one.png")
    assert torch.allclose(module.read_picture(str(tmp_path / "one.png"))[0], image, atol=0.5 / 255 + 1e-6)


def test_a_translator_keeps_what_is_transparent(tmp_path):
    module = export_reader(tmp_path, (4, 8, 8), program="translator", source="a", target="b")
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 4), dtype=np.uint8)
    pixels[..., 3] = np.where(pixels[..., 3] > 99, pixels[..., 3], 0)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    assert module.main(["--input", str(tmp_path / "in.png"), "--output", str(tmp_path / "out")]) == 0
    with Image.open(tmp_path / "out" / "in.png") as picture:
        written = np.asarray(picture)
    seen = pixels[..., 3] > 0
    assert np.array_equal(written[seen], pixels[seen])
    assert (written[~seen] == (255, 255, 255, 0)).all()
