"""Factors that examples were made of, beside them."""

import numpy as np
import pytest
import torch

from nas.core.errors import UserError
from nas.data.loading import load_arrays, load_data
from tests.parts.data import one_line, unique_images

FACTORS = np.arange(80).reshape(40, 2)


def made(**others):
    return {"x_train": unique_images(40), "f_train": FACTORS, **others}


def test_factors_of_arrays_stay_with_their_examples(tmp_path):
    np.savez(tmp_path / "d.npz", **made())
    for data in (load_arrays(made()), load_data(f"npz:{tmp_path / 'd.npz'}")):
        for part in (data.train, data.validation, data.test):
            assert torch.equal(part.factors[:, 0], 2 * part.examples[:, 0, 0, 0].double())
            assert part.factors.shape == (len(part), 2)
        assert data.told == ()
    flags = load_arrays(made(f_train=np.arange(40) % 2 == 0))
    assert flags.train.factors.unique().tolist() == [0, 1]
    assert load_arrays({"x_train": unique_images(40)}).train.factors is None


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"f_train": FACTORS[:30]}, "f_train is int64 of shape"),
        ({"f_train": np.array(["a"] * 40)}, "f_train is <U1"),
        ({"f_train": np.full((40, 2), np.inf)}, "f_train holds others"),
        ({"x_test": unique_images(20)}, "f_train and f_test of one length, or neither"),
    ],
)
def test_what_are_no_factors_is_refused(others, message):
    with pytest.raises(UserError, match=message) as error:
        load_arrays(made(**others))
    one_line(error)


def test_columns_of_a_table_are_factors_and_no_part_of_the_vectors(tmp_path):
    lines = [f"{row},{row % 7}.5,{'ab'[row % 2]},{row % 5}" for row in range(60)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x,y,word,angle", *lines]))
    data = load_data(f"csv:{path}", factors="word,angle")
    assert [column.name for column in data.columns] == ["x", "y"]
    rows = (data.train.examples[:, 0] * data.columns[0].deviation + data.columns[0].mean).round().long()
    assert torch.equal(data.train.factors, torch.stack([rows % 2, rows % 5], 1).double())
    assert any("factors: word, angle" in note for note in data.notes)
    with pytest.raises(UserError, match="--factors 'angles': unknown, did you mean 'angle'"):
        load_data(f"csv:{path}", factors=["angles"])
    with pytest.raises(UserError, match="--factors 'word': digits is no table"):
        load_data("digits", factors="word")
