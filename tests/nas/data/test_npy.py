"""Files with one array: images or vectors, never unpickled, and refused in one line where they are damaged."""

import numpy as np
import pytest
import torch

from nas.core.errors import UserError
from nas.data.catalogue import absolute_name
from nas.data.loading import load_data
from tests.parts.data import keys, one_line, unique_images


def save(path, array, **options):
    np.save(path / "d.npy", array, **options)
    return f"npy:{path / 'd.npy'}"


def everything(data):
    return torch.cat([data.train.examples, data.validation.examples, data.test.examples])


@pytest.mark.parametrize("colour", [False, True])
def test_images_are_read_as_those_of_archives_are(tmp_path, colour):
    images = unique_images(40)
    images = images[..., None].repeat(3, axis=3) if colour else images
    np.savez(tmp_path / "d.npz", x_train=images)
    data, archive = load_data(save(tmp_path, images)), load_data(f"npz:{tmp_path / 'd.npz'}")
    assert (data.kind, data.shape, data.classes) == ("image", (3 if colour else 1, 6, 6), ())
    assert data.fingerprint == archive.fingerprint
    assert load_data(save(tmp_path, images), image_size=4).shape[1:] == (4, 4)


@pytest.mark.parametrize("kind", ["float64", "float16", "int32", "uint8"])
def test_vectors_keep_their_numbers(tmp_path, kind):
    numbers = (np.arange(150).reshape(30, 5) - (0 if kind == "uint8" else 75)).astype(kind)
    data = load_data(save(tmp_path, numbers))
    assert (data.kind, data.shape) == ("vector", (5,))
    assert everything(data).dtype == torch.float32
    assert keys(data.train) | keys(data.validation) | keys(data.test) == {tuple(map(float, row)) for row in numbers}
    assert data.condition is None


def test_an_array_in_the_order_of_fortran_is_the_same(tmp_path):
    numbers = np.random.default_rng(0).normal(size=(30, 5))
    plain = load_data(save(tmp_path, numbers)).fingerprint
    assert load_data(save(tmp_path, np.asfortranarray(numbers))).fingerprint == plain


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros(30), r"the array has the shape \(30,\)"),
        (np.zeros(()), r"has the shape \(\)"),
        (np.zeros((20, 6, 5, 5)), r"has the shape \(20, 6, 5, 5\)"),
        (np.zeros((2, 2, 2, 2, 2)), "has the shape"),
        (np.zeros((0, 5)), "the array is empty"),
        (np.zeros((30, 0)), "the array is empty"),
        (np.full((30, 5), np.nan), "holds numbers that are not finite"),
        (np.full((30, 5), 1e300), "holds numbers that are not finite"),
        (np.full((30, 5), np.inf), "holds numbers that are not finite"),
        (np.full((30, 5, 5), np.nan), "holds values from nan to nan"),
        (np.full((30, 5, 5), -2.0), "holds values from -2 to -2"),
        (np.zeros((30, 5, 5), complex), "the array is complex128"),
        (np.zeros((30, 5), complex), "the array is complex128"),
        (np.full((30, 5), "word"), "the array is <U4"),
        (np.zeros((9, 5)), "has 9; allowed: 10 vectors or more"),
    ],
)
def test_what_is_neither_images_nor_vectors_is_refused(tmp_path, array, message):
    with pytest.raises(UserError, match=message) as error:
        load_data(save(tmp_path, array))
    assert "allowed: the array (N, H, W)" in one_line(error) or "10 vectors" in one_line(error)


def test_an_image_size_is_for_images_alone(tmp_path):
    name = save(tmp_path, np.zeros((30, 5)))
    with pytest.raises(UserError, match=r"--image-size 8: the data are vectors; allowed: nothing but for images"):
        load_data(name, image_size=8)
    with pytest.raises(UserError, match=r"--dataset 'inverted:npy:.*has vectors; allowed: a data set of images"):
        load_data(f"inverted:{name}")


@pytest.mark.parametrize(
    "content", [b"", b"no array", b"\x93NUMPY", b"\x93NUMPY\x01\x00\x05\x00{'a':", b"PK\x03\x04broken"]
)
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "d.npy").write_bytes(content)
    with pytest.raises(UserError, match=r"allowed: an \.npy file with one plain array") as error:
        load_data(f"npy:{tmp_path / 'd.npy'}")
    one_line(error)


def test_a_cut_file_and_damaged_bytes_are_refused_or_harmless(tmp_path):
    save(tmp_path, np.random.default_rng(0).random((20, 5)))
    content = (tmp_path / "d.npy").read_bytes()
    generator = np.random.default_rng(0)
    said = []
    for place in range(128):
        damaged = bytearray(content if place % 2 else content[:-place] if place else content)
        damaged[int(generator.integers(128))] ^= int(generator.integers(1, 256))
        (tmp_path / "d.npy").write_bytes(bytes(damaged))
        try:
            load_data(f"npy:{tmp_path / 'd.npy'}")
        except UserError as error:
            said.append(str(error))
    assert len(said) > 64
    assert not any("\n" in line for line in said)


def test_nothing_is_unpickled(tmp_path):
    with pytest.raises(UserError, match="cannot be read without unpickling"):
        load_data(save(tmp_path, np.array([{"a": 1}], dtype=object), allow_pickle=True))


def test_files_that_are_no_single_array_are_refused(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=unique_images(20))
    with pytest.raises(UserError, match="holds an archive; npz:PATH reads it"):
        load_data(f"npy:{tmp_path / 'd.npz'}")
    with pytest.raises(UserError, match="does not exist; allowed: a path that exists"):
        load_data(f"npy:{tmp_path / 'none.npy'}")
    with pytest.raises(UserError, match="names no path; allowed: npy:PATH"):
        load_data("npy:")


def test_its_path_is_kept_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_name("npy:a/b.npy") == f"npy:{tmp_path / 'a' / 'b.npy'}"
