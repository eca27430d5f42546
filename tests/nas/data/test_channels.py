"""Tensors brought to other channels, as Pillow brings pictures to them."""

import numpy as np
import pytest
import torch
from PIL import Image

from nas.core.errors import UserError
from nas.data.channels import convert_channels
from nas.data.loading import load_arrays, load_data
from nas.data.pairs import load_pair, make_pair

GROUND = (10, 200, 30)
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@pytest.mark.parametrize("has", MODES)
@pytest.mark.parametrize("wanted", MODES)
@pytest.mark.parametrize("fractions", [False, True])
def test_channels_become_what_pillow_makes_of_them(has, wanted, fractions):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, has), dtype=np.uint8)
    picture = Image.fromarray(pixels[..., 0] if has == 1 else pixels)
    if has == 4 and wanted < 4:
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, (*GROUND, 255)), picture)
    expected = np.asarray(picture.convert(MODES[wanted])).reshape(9, 7, wanted).transpose(2, 0, 1)
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    found = convert_channels(images.float() / 255 if fractions else images, wanted, GROUND)
    assert found.dtype == (torch.float32 if fractions else torch.uint8)
    shades = found[0] * 255 if fractions else found[0]
    assert np.abs(shades.numpy().astype(float) - expected).max() <= 1.5


def test_two_channels_are_no_colours():
    with pytest.raises(UserError, match=r"--channels 'RGB': the images have 2 channels.*allowed: auto"):
        load_arrays(np.zeros((20, 5, 5, 2), np.uint8), channels="RGB")
    with pytest.raises(UserError, match=r"--channels 'L': the data are vectors"):
        load_arrays(np.zeros((20, 5)), channels="L")


def test_alpha_stays_where_it_is_unless_pixels_move(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (20, 6, 5, 4), dtype=np.uint8)
    np.savez(tmp_path / "d.npz", x_train=images, x_test=images[:12])
    name = f"npz:{tmp_path / 'd.npz'}"
    plain, inverted, rotated = (load_data(f"{word}{name}").test.examples for word in ("", "inverted:", "rotated:"))
    assert torch.equal(inverted[:, :3], 255 - plain[:, :3])
    assert torch.equal(inverted[:, 3], plain[:, 3])
    assert torch.equal(rotated, plain.rot90(1, (2, 3)))


def test_pairs_of_other_channels_say_what_brings_them_together():
    clear, plain = load_data("digits", channels="RGBA"), load_data("digits")
    with pytest.raises(UserError, match=r"--dataset-b.*4 x 8 x 8 and of 1 x 8 x 8.*allowed: --channels RGB"):
        make_pair(clear, plain)
    assert load_pair("digits", "inverted:digits", channels="RGBA").shape == (4, 8, 8)
