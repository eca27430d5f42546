"""Data sets by name, and names that are refused."""

import numpy as np
import pytest
import torch
from sklearn import datasets

from nas.core.errors import UserError
from nas.data.catalogue import data_set_names, describe_data_set
from nas.data.loading import load_data
from nas.data.sources import digits
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
