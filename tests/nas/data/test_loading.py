"""Data sets by name, and names that are refused."""

import numpy as np
import pytest
import torch
from sklearn import datasets

from nas.core.errors import UserError
from nas.data.catalogue import data_set_names, describe_data_set
from nas.data.columns import unscale_examples
from nas.data.loading import load_arrays, load_data
from nas.data.sources import digits
from nas.data.splitting import standardise_data
from tests.parts.data import one_line


def test_digits_need_nothing():
    data = load_data("digits")
    assert data.shape == (1, 8, 8)
    assert (len(data.train), len(data.validation), len(data.test)) == (1223, 215, 359)
    assert data.train.examples.dtype == torch.uint8
    assert data.train.examples.max() == 255
    assert len(data.classes) == 10


def test_digits_are_scikit_learns():
    wanted, found = datasets.load_digits(), digits.load_digits()
    assert np.array_equal(np.rint(np.asarray(found.pool.examples)[:, 0] * (16 / 255)), wanted.images)
    assert np.array_equal(found.pool.labels, wanted.target)
    assert found.classes == tuple(map(str, wanted.target_names))


@pytest.mark.parametrize("name", ["mnits", "folder:", "folder", "csv:", "tensor:x", "digits:x"])
def test_unknown_names_are_refused(name):
    with pytest.raises(UserError, match="--dataset"):
        load_data(name)


@pytest.mark.parametrize(
    ("path", "meant"), [("mine", "folder"), ("a.csv", "csv"), ("a.CSV.gz", "csv"), ("a.npz", "npz")]
)
def test_a_path_without_its_kind_is_refused_with_what_was_meant(path, meant, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if meant == "folder":
        (tmp_path / path).mkdir()
    else:
        (tmp_path / path).touch()
    with pytest.raises(UserError, match=f"does not say what kind of data the path is; allowed: {meant}:{path}$"):
        load_data(path)


def test_every_data_set_is_explained():
    for name in data_set_names():
        text = describe_data_set(name)
        assert text.startswith(name)
        assert "never sees the test part" in text


@pytest.mark.parametrize("kind", ["folder", "csv", "npz", "npy"])
@pytest.mark.parametrize("path", ["a" * 5000, "~nobody-of-this-name/x", "a\0b", "not/there"])
def test_a_path_that_cannot_be_is_refused(kind, path):
    with pytest.raises(UserError, match="--dataset") as error:
        load_data(f"{kind}:{path}")
    one_line(error)


@pytest.mark.parametrize("kind", ["csv", "npz", "npy"])
def test_a_folder_where_a_file_should_be_is_refused(kind, tmp_path):
    with pytest.raises(UserError, match="Is a directory"):
        load_data(f"{kind}:{tmp_path}")


def test_vectors_are_standardised_where_it_is_asked_for():
    numbers = np.random.default_rng(0).normal(5, 3, size=(60, 2))
    arrays = {"x_train": numbers, "x_test": numbers[:10] + 100}
    plain, data = load_arrays(arrays), standardise_data(load_arrays(arrays))
    assert plain.columns == ()
    assert [column.name for column in data.columns] == ["0", "1"]
    for part in ("train", "validation", "test"):
        taken, scaled = getattr(plain, part).examples, getattr(data, part).examples
        assert torch.allclose(unscale_examples(scaled, data.columns).float(), taken, rtol=1e-5)
    assert data.train.examples.mean(0).abs().max() < 1e-6
    assert data.test.examples.min() > 10


def test_files_of_vectors_are_standardised_and_images_are_as_they_were(tmp_path):
    numbers = np.random.default_rng(0).normal(5, 3, size=(60, 2)).astype(np.float32)
    np.save(tmp_path / "v.npy", numbers)
    data = standardise_data(load_data(f"npy:{tmp_path / 'v.npy'}"))
    assert data.train.examples.std(0, correction=0).numpy() == pytest.approx(1, abs=1e-5)
    assert standardise_data(load_data("digits")).fingerprint == load_data("digits").fingerprint


@pytest.mark.parametrize("options", [{"label": "a"}, {"drop": ["a"]}, {"columns": ["a", "b"]}, {"group": "a"}])
def test_options_of_tables_are_refused_for_other_data(options):
    ((option, _),) = options.items()
    for name in ("digits", "inverted:digits"):
        with pytest.raises(
            UserError, match=rf"--{option} 'a.*': .*digits is no table; allowed: tables, such as"
        ) as error:
            load_data(name, **options)
        one_line(error)
