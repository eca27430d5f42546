"""Folders of pictures, of whatever size, depth and colour."""

import numpy as np
import pytest
import torch
from PIL import Image

from nas.core.errors import UserError
from nas.data import resizing
from nas.data.loading import load_data
from tests.parts.data import keys


def picture(path, mode="RGB", size=(10, 10), value=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    fill = value if mode in ("L", "I;16") else (value, 50, 0, 255)[: len(Image.new(mode, (1, 1)).getbands())]
    Image.new(mode, size, fill).save(path)


def test_a_folder_of_equal_pictures_is_kept_as_it_is(tmp_path):
    for i in range(12):
        picture(tmp_path / f"class{i % 2}" / f"{i}.png", size=(10, 6), value=i * 10)
    data = load_data(f"folder:{tmp_path}")
    assert data.shape == (3, 6, 10)
    assert data.classes == ("class0", "class1")
    assert data.notes == ()


def test_pictures_of_many_sizes_cover_the_target(tmp_path):
    for i in range(12):
        picture(tmp_path / f"{i}.png", "L", size=(80 + i, 100))
    data = load_data(f"folder:{tmp_path}")
    assert data.shape == (1, 64, 64)
    assert "64 x 64" in data.notes[0]
    assert load_data(f"folder:{tmp_path}", image_size=16).shape == (1, 16, 16)
    assert data.train.labels is None


def test_corrupt_pictures_are_counted_or_refused(tmp_path):
    for i in range(12):
        picture(tmp_path / f"{i}.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    data = load_data(f"folder:{tmp_path}")
    assert "2 pictures could not be read" in data.notes[0]
    assert len(data.train) + len(data.validation) + len(data.test) == 12
    with pytest.raises(UserError, match=r"--strict.*bad\.png"):
        load_data(f"folder:{tmp_path}", strict=True)


def test_transparent_and_deep_pictures(tmp_path):
    for i in range(11):
        picture(tmp_path / f"{i}.png", "RGBA")
    data = load_data(f"folder:{tmp_path}")
    assert data.train.examples[0, :, 0, 0].tolist() == [100, 50, 0]
    deep = tmp_path / "deep"
    for i in range(11):
        deep.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), 0x8000, np.uint16)).save(deep / f"{i}.png")
    assert load_data(f"folder:{deep}").train.examples.unique().tolist() == [128]


def test_no_folder_no_pictures_only_corrupt_ones(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        load_data(f"folder:{tmp_path / 'none'}")
    with pytest.raises(UserError, match="holds no picture"):
        load_data(f"folder:{tmp_path}")
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(UserError, match="none of its 1 pictures"):
        load_data(f"folder:{tmp_path}")
    with pytest.raises(UserError, match="is a file"):
        load_data(f"folder:{tmp_path / 'a.png'}")


def test_tensors_and_pictures_are_resized_by_one_rule():
    pixels = np.random.default_rng(0).integers(0, 255, (9, 12), dtype=np.uint8)
    by_picture = torch.from_numpy(np.array(resizing.crop_and_resize(Image.fromarray(pixels), (6, 6)))).float()
    by_tensor = resizing.resize_images(torch.from_numpy(pixels)[None, None], (6, 6))[0, 0].float()
    assert (by_picture - by_tensor).abs().max() <= 2


def test_deep_and_float_pictures_among_coloured_ones(tmp_path):
    for i in range(11):
        picture(tmp_path / f"{i}.png")
    Image.fromarray(np.full((10, 10), 0x8000, np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(np.full((10, 10), 0.2, np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((10, 10), 7.0, np.float32)).save(tmp_path / "unknown-range.tif")
    data = load_data(f"folder:{tmp_path}")
    pixels = keys(data.train) | keys(data.validation) | keys(data.test)
    assert {tuple([128] * 300), tuple([51] * 300)} < pixels
    skipped, deep = data.notes
    assert skipped == "1 picture could not be read and was skipped"
    assert deep == "deep pictures hold values up to 32768: read as 16 bits, the upper 8 are kept"


def test_a_long_strip_does_not_fill_the_memory(tmp_path, monkeypatch):
    largest = []
    resize = Image.Image.resize

    def watched(picture, size, *args, **kwargs):
        largest.append(max(*size, *picture.size))
        return resize(picture, size, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "resize", watched)
    for i in range(12):
        picture(tmp_path / f"{i}.png", "L", size=(3, 9000))
    assert load_data(f"folder:{tmp_path}").shape == (1, 64, 64)
    assert max(largest) == 64


def test_floats_stay_in_range_when_resized():
    for side in (5, 23, 39):
        assert float(resizing.resize_images(torch.ones(1, 1, side, side + 3), (16, 16)).max()) <= 1
