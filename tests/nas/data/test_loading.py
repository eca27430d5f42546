"""Data sets and their parts, from arrays and archives of them."""

import zipfile

import numpy as np
import pytest
import torch

from nas.core.errors import UserError
from nas.data.catalogue import data_set_names, describe_data_set
from nas.data.loading import load_arrays, load_data
from tests.parts.data import keys, one_line, unique_images


def test_digits_need_nothing():
    data = load_data("digits")
    assert data.shape == (1, 8, 8)
    assert (len(data.train), len(data.validation), len(data.test)) == (1223, 215, 359)
    assert data.train.examples.dtype == torch.uint8
    assert data.train.examples.max() == 255
    assert len(data.classes) == 10


def test_parts_do_not_overlap_and_the_seed_decides_them():
    arrays = {"x_train": unique_images(400)}
    data, again, other = (load_arrays(arrays, seed=seed) for seed in (0, 0, 1))
    parts = [keys(part) for part in (data.train, data.validation, data.test)]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == 400
    assert torch.equal(data.train.examples, again.train.examples)
    assert not torch.equal(data.train.examples, other.train.examples)


def test_the_test_part_does_not_depend_on_the_size_of_the_training_part():
    arrays = {"x_train": unique_images(400)}
    small, whole = load_arrays(arrays, train_size=40), load_arrays(arrays)
    assert torch.equal(small.test.examples, whole.test.examples)
    assert (len(small.train), len(small.validation)) == (40, 10)
    assert not keys(small.train) & keys(small.validation)


def test_an_own_test_part_is_kept():
    data = load_arrays({"x_train": unique_images(100), "x_test": unique_images(30), "y_train": np.arange(100) % 3})
    assert len(data.test) == 30
    assert data.classes == ("0", "1", "2")


@pytest.mark.parametrize("size", [0, 1, 69, 101])
def test_too_large_a_training_part_is_refused(size):
    with pytest.raises(UserError, match="--train-size") as error:
        load_arrays({"x_train": unique_images(100)}, train_size=size)
    assert "2 to 68" in one_line(error)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_train": np.zeros(9)}, "no x_train"),
        ({"x_train": np.zeros((20, 5, 5), np.int64)}, "x_train is int64"),
        ({"x_train": np.zeros((20, 5, 5, 2), np.uint8)}, r"shape \(20, 5, 5, 2\)"),
        ({"x_train": np.full((20, 5, 5), 3.0)}, "from 3 to 3"),
        ({"x_train": np.full((20, 5, 5), np.nan)}, "nan"),
        ({"x_train": np.zeros((20, 5, 5), np.uint8), "y_train": np.zeros(19, int)}, "20 whole numbers in y_train"),
        ({"x_train": np.zeros((20, 5, 5), np.uint8), "x_test": np.zeros((4, 6, 6), np.uint8)}, "differ"),
        ({"x_train": np.zeros((9, 5, 5), np.uint8)}, "has 9"),
        ({"x_train": np.zeros((20, 3, 5), np.uint8)}, "3 x 5"),
        ({"x_train": np.zeros((0, 5, 5), np.uint8)}, "empty"),
    ],
)
def test_arrays_that_are_no_images_are_refused(arrays, message):
    with pytest.raises(UserError, match=message) as error:
        load_arrays(arrays)
    one_line(error)


def test_floats_stay_floats_and_colour_goes_first(tmp_path):
    images = np.random.default_rng(0).random((20, 5, 7, 3))
    np.savez(tmp_path / "d.npz", x_train=images)
    data = load_data(f"npz:{tmp_path / 'd.npz'}")
    assert data.shape == (3, 5, 7)
    assert data.train.examples.dtype == torch.float32


def test_npz_is_never_unpickled(tmp_path):
    np.savez(tmp_path / "d.npz", x_train=np.array([{"a": 1}], dtype=object))
    with pytest.raises(UserError, match="unpickling"):
        load_data(f"npz:{tmp_path / 'd.npz'}")


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04broken"])
def test_a_broken_npz_is_refused(tmp_path, content):
    (tmp_path / "d.npz").write_bytes(content)
    with pytest.raises(UserError, match="npz"):
        load_data(f"npz:{tmp_path / 'd.npz'}")


@pytest.mark.parametrize("name", ["mnits", "folder:", "csv:", "tensor:x"])
def test_unknown_names_are_refused(name):
    with pytest.raises(UserError, match="--dataset"):
        load_data(name)


def test_every_data_set_is_explained():
    for name in data_set_names():
        text = describe_data_set(name)
        assert text.startswith(name)
        assert "never sees the test part" in text


def test_labels_are_indices_into_the_classes():
    labels = np.where(np.arange(100) % 2, 5, -7)
    data = load_arrays({"x_train": unique_images(100), "y_train": labels, "x_test": unique_images(9)})
    assert data.classes == ("-7", "5")
    assert data.train.labels.unique().tolist() == [0, 1]
    assert data.train.labels.tolist() == [int(image[0, 0, 0]) % 2 for image in data.train.examples]
    assert data.test.labels is None


@pytest.mark.parametrize("kind", ["folder", "csv", "npz"])
@pytest.mark.parametrize("path", ["a" * 5000, "~nobody-of-this-name/x", "a\0b", "not/there"])
def test_a_path_that_cannot_be_is_refused(kind, path):
    with pytest.raises(UserError, match="--dataset") as error:
        load_data(f"{kind}:{path}")
    one_line(error)


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_a_folder_where_a_file_should_be_is_refused(kind, tmp_path):
    with pytest.raises(UserError, match="Is a directory"):
        load_data(f"{kind}:{tmp_path}")


def test_an_archive_of_something_else_is_refused(tmp_path):
    np.save(tmp_path / "single.npy", np.zeros((20, 5, 5)))
    with zipfile.ZipFile(tmp_path / "bytes.npz", "w") as archive:
        archive.writestr("x_train", b"hello")
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, x_train=np.random.default_rng(0).random((20, 5, 5)))
    with pytest.raises(UserError, match="holds a single array"):
        load_data(f"npz:{tmp_path / 'single.npy'}")
    with pytest.raises(UserError, match="x_train is no array"):
        load_data(f"npz:{tmp_path / 'bytes.npz'}")
    content = whole.read_bytes()
    generator = np.random.default_rng(0)
    said = []
    for _ in range(100):  # a damaged byte is refused in one line, or does no harm
        damaged = bytearray(content)
        damaged[int(generator.integers(len(content)))] ^= int(generator.integers(1, 256))
        whole.write_bytes(bytes(damaged))
        try:
            load_data(f"npz:{whole}")
        except UserError as error:
            said.append(str(error))
    assert len(said) > 50
    assert not any("\n" in line for line in said)
