"""Arrays given by their keys: images or vectors, with labels, or refused by the name of the array."""

import numpy as np
import pytest
import torch

from nas.core.errors import UserError
from nas.data.loading import load_arrays
from tests.parts.data import one_line, unique_images


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y_train": np.zeros(9)}, "no x_train"),
        ({"x_train": np.zeros((20, 5, 5), complex)}, "x_train is complex128"),
        ({"x_train": np.zeros((20, 5, 5, 5), np.uint8)}, r"shape \(20, 5, 5, 5\)"),
        ({"x_train": np.full((20, 5, 5), -3.0)}, "from -3 to -3"),
        ({"x_train": np.linspace(0, 1.5, 500).reshape(20, 5, 5)}, "from 0 to 1.5"),
        ({"x_train": np.full((20, 5, 5), 70000)}, "from 70000 to 70000"),
        ({"x_train": np.full((20, 5, 5), -1000)}, "from -1000 to -1000"),
        ({"x_train": np.full((20, 5, 5), np.nan)}, "nan"),
        (
            {"x_train": np.zeros((20, 5, 5), np.uint8), "y_train": np.zeros(19, int)},
            "20 whole numbers, words",
        ),
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


def test_labels_are_indices_into_the_classes():
    labels = np.where(np.arange(100) % 2, 5, -7)
    data = load_arrays({"x_train": unique_images(100), "y_train": labels, "x_test": unique_images(9)})
    assert data.classes == ("-7", "5")
    assert data.train.labels.unique().tolist() == [0, 1]
    assert data.train.labels.tolist() == [int(image[0, 0, 0]) % 2 for image in data.train.examples]
    assert data.test.labels is None


def test_vectors_have_test_parts_and_labels_as_images_do():
    numbers = np.random.default_rng(0).normal(size=(40, 3))
    data = load_arrays({"x_train": numbers, "y_train": np.arange(40) % 2, "x_test": 100 * numbers[:12]})
    assert (data.kind, data.shape, data.classes) == ("vector", (3,), ("0", "1"))
    assert torch.equal(data.test.examples, torch.tensor(100 * numbers[:12], dtype=torch.float32))
    with pytest.raises(UserError, match="differ in it; allowed: vectors of one shape and type"):
        load_arrays({"x_train": numbers, "x_test": numbers[:12, :2]})
    with pytest.raises(UserError, match=r"--image-size 8: the data are vectors") as error:
        load_arrays({"x_train": numbers}, image_size=8)
    one_line(error)
