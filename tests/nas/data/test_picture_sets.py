"""Many pictures at once: read by several threads, and kept on disk where they do not fit into memory."""

import io
import json
import threading

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nas.core.errors import UserError
from nas.core.picture_rule import USUAL_PICTURES
from nas.data import picture_sets
from nas.data.loading import load_data
from nas.data.mapped import LIMIT, find_mapping
from nas.data.pictures import read_header, read_pixels


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A hundred pictures in two classes, of which two cannot be read, and a place for what is kept of them."""
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "kept"))
    monkeypatch.setattr(picture_sets, "count_cores", lambda: 4)
    for i in range(100):
        path = tmp_path / "pictures" / f"class{i % 2}" / f"{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (9, 9), i).save(path)
    (tmp_path / "pictures" / "class0" / "000a.png").write_bytes(b"no picture")
    (tmp_path / "pictures" / "class1" / "051.png").write_bytes(path.read_bytes()[:-20])
    return tmp_path / "pictures"


@pytest.fixture
def readings(monkeypatch):
    """Every picture whose pixels are read from here on."""
    read, found = picture_sets.read_pixels, []
    monkeypatch.setattr(picture_sets, "read_pixels", lambda file, *how: (found.append(file), read(file, *how))[1])
    return found


def values(data):
    parts = (data.train, data.validation, data.test)
    return [(part.examples[:, 0, 0, 0].tolist(), part.labels.tolist()) for part in parts]


def test_every_picture_has_its_place_and_its_label(folder):
    data = load_data(f"folder:{folder}")
    pairs = [pair for shades, labels in values(data) for pair in zip(shades, labels, strict=True)]
    assert sorted(pairs) == [(i, i % 2) for i in range(100) if i != 51]


def test_large_folders_are_the_same_and_read_once(folder, readings, monkeypatch):
    inside = load_data(f"folder:{folder}", image_size=6)
    monkeypatch.setenv(LIMIT, "100")
    for seed, count in ((0, 100), (1, 0)):
        readings.clear()
        outside = load_data(f"folder:{folder}", image_size=6, seed=seed)
        assert len(readings) == count
        assert find_mapping(outside.train.examples) is not None
        assert outside.notes[:-1] == inside.notes
        assert sorted(values(outside)[2][0]) == sorted(values(inside)[2][0])
    assert load_data(f"folder:{folder}", image_size=6).fingerprint == inside.fingerprint
    monkeypatch.setenv(LIMIT, "1G")  # what is there is used
    assert load_data(f"folder:{folder}", image_size=6).fingerprint == inside.fingerprint
    assert not readings
    with pytest.raises(UserError, match=r"--strict.*000a\.png"):
        load_data(f"folder:{folder}", image_size=6, strict=True)


@pytest.mark.parametrize("change", ["picture", "name", "option"])
def test_what_changes_is_read_again(change, folder, readings, monkeypatch):
    monkeypatch.setenv(LIMIT, "100")
    load_data(f"folder:{folder}")
    readings.clear()
    options = {"image_size": 5} if change == "option" else {}
    if change == "picture":
        Image.new("L", (9, 9), 255).save(folder / "class0" / "002.png")
    if change == "name":
        (folder / "class0" / "002.png").rename(folder / "class0" / "002b.png")
    data = load_data(f"folder:{folder}", **options)
    assert len(readings) == 100
    assert any(255 in shades for shades, _ in values(data)) == (change == "picture")


@pytest.mark.parametrize("damage", ["cut", "no_pixels", "no_json", "half"])
def test_damaged_and_half_written_pictures_are_not_used(damage, folder, tmp_path, readings, monkeypatch):
    monkeypatch.setenv(LIMIT, "100")
    whole = load_data(f"folder:{folder}").fingerprint
    (kept,) = (path for path in (tmp_path / "kept" / "pictures").iterdir() if path.is_dir())
    if damage == "cut":
        (kept / "images").write_bytes((kept / "images").read_bytes()[:-500])
    elif damage == "no_pixels":
        (kept / "images").unlink()
    elif damage == "no_json":
        (kept / "about.json").write_text(json.dumps({"size": 3}))
    else:
        kept.rename(kept.with_suffix(".part"))
    readings.clear()
    assert load_data(f"folder:{folder}").fingerprint == whole
    assert len(readings) == 100
    assert not kept.with_suffix(".part").exists()


def test_what_is_interrupted_leaves_nothing(folder, tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT, "100")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(picture_sets, "read_pixels", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_data(f"folder:{folder}")
    assert [path.name for path in (tmp_path / "kept" / "pictures").iterdir() if path.is_dir()] == []


def test_of_two_at_once_one_reads_and_both_have_all(folder, readings, monkeypatch):
    monkeypatch.setenv(LIMIT, "100")
    found = []
    both = [threading.Thread(target=lambda: found.append(load_data(f"folder:{folder}").fingerprint)) for _ in "ab"]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(readings) == 100
    assert found[0] == found[1]


def test_only_pictures_that_cannot_be_read_are_refused_on_disk_as_well(tmp_path, monkeypatch):
    monkeypatch.setenv(LIMIT, "100")
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "kept"))
    Image.new("L", (40, 40), 7).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "whole.png").write_bytes(content[:45])
    with pytest.raises(UserError, match="none of its 1 pictures can be read"):
        load_data(f"folder:{tmp_path}")


MODES = {
    "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "tiff": ("1", "L", "RGB", "RGBA", "I;16", "CMYK"),
    "jpeg": ("L", "RGB", "CMYK"),
    "webp": ("RGB", "RGBA"),
    "gif": ("P", "L"),
    "bmp": ("1", "L", "RGB"),
}


@st.composite
def files(draw):
    """A picture's file of any format, mode, size and orientation."""
    kind = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[kind]))
    size = draw(st.tuples(st.integers(1, 20), st.integers(1, 20)))
    content = draw(st.binary(min_size=1, max_size=30))
    length = {"1": (size[0] + 7) // 8 * size[1], "I;16": 2 * size[0] * size[1]}.get(mode)
    length = length or size[0] * size[1] * len(Image.new(mode, (1, 1)).getbands())
    picture = Image.frombytes(mode, size, (content * (length // len(content) + 1))[:length])
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = draw(st.integers(0, 9))
    picture.save(file, kind, **({} if kind in ("gif", "bmp") else {"exif": exif}))
    return file.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=files(), mode=st.sampled_from(["L", "RGB", "RGBA"]))
def test_any_picture_is_as_large_as_its_header_says(content, mode):
    header = read_header(content, 64)
    pixels, transparent = read_pixels(content, mode, USUAL_PICTURES, None)
    assert pixels.dtype == np.uint8
    assert pixels.shape == ({"L": 1, "RGB": 3, "RGBA": 4}[mode], *header.size)
    assert header.alpha or not transparent
    assert not header.grey or mode == "L" or (pixels[0] == pixels[1]).all()
    assert read_pixels(content, mode, USUAL_PICTURES, (5, 7))[0].shape[1:] == (5, 7)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(content=files(), place=st.floats(0, 1), change=st.binary(max_size=4), cut=st.booleans())
def test_no_damage_is_more_than_a_picture_that_cannot_be_read(content, place, change, cut):
    at = int(place * len(content))
    damaged = content[:at] + (b"" if cut else change + content[at + len(change) :])
    read_header(damaged, 64)
    found = read_pixels(damaged, "RGB", USUAL_PICTURES, (5, 7))
    assert found is None or found[0].shape == (3, 5, 7)


def test_pictures_in_memory_are_as_those_in_files(tmp_path):
    Image.new("RGB", (9, 8), (1, 2, 3)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    assert read_header(content, 64) == read_header(tmp_path / "a.png", 64)
    both = [
        torch.from_numpy(read_pixels(file, "RGB", USUAL_PICTURES, None)[0]) for file in (content, tmp_path / "a.png")
    ]
    assert torch.equal(*both)
