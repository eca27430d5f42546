"""Images in CSV files, and faulty rows told by their numbers."""

import pytest
import torch

from nas.core.errors import UserError
from nas.data.loading import load_data
from tests.parts.data import keys, one_line


def write_csv(path, rows):
    path.write_text("\n".join(rows) + "\n")
    return f"csv:{path}"


@pytest.mark.parametrize("header", [[], ["label," + ",".join(f"pixel{i}" for i in range(16))]])
def test_csv_as_mnist_is_spread(tmp_path, header):
    rows = [f"{i % 3}," + ",".join(str((i * 7 + j) % 256) for j in range(16)) for i in range(40)]
    data = load_data(write_csv(tmp_path / "d.csv", header + rows))
    assert data.shape == (1, 4, 4)
    assert len(data.train) + len(data.validation) + len(data.test) == 40
    assert data.classes == ("0", "1", "2")
    wanted = {tuple((i * 7 + j) % 256 for j in range(16)) for i in range(40)}
    assert keys(data.train) | keys(data.validation) | keys(data.test) == wanted


def test_csv_in_colour_with_words_and_fractions(tmp_path):
    rows = [f"{'cat' if i % 2 else 'dog'}," + ",".join(f"{(i + j) % 10 / 10}" for j in range(75)) for i in range(20)]
    data = load_data(write_csv(tmp_path / "d.csv", rows))
    assert data.shape == (3, 5, 5)
    assert data.classes == ("cat", "dog")
    assert data.train.examples.dtype == torch.float32


GOOD = "1," + ",".join(["5"] * 16)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1," + ",".join(["5"] * 15), "row 13 has 16 columns where the first row has 17"),
        ("1,x," + ",".join(["5"] * 15), "row 13 holds 'x' in column 2"),
        ("1,nan," + ",".join(["5"] * 15), "row 13 holds 'nan'"),
        ("1,300," + ",".join(["5"] * 15), "row 13 holds 300"),
        ("1,-1," + ",".join(["5"] * 15), "row 13 holds -1"),
    ],
)
def test_a_faulty_row_is_named(tmp_path, row, message):
    with pytest.raises(UserError, match=message) as error:
        load_data(write_csv(tmp_path / "d.csv", [GOOD] * 12 + [row] + [GOOD] * 3))
    one_line(error)


def test_csv_without_a_square_or_a_row_or_a_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="5 pixels"):
        load_data(write_csv(tmp_path / "d.csv", ["1,1,2,3,4,5"] * 20))
    with pytest.raises(UserError, match="holds no row"):
        load_data(write_csv(tmp_path / "e.csv", [""]))
    with pytest.raises(UserError, match="does not exist"):
        load_data(f"csv:{tmp_path / 'none.csv'}")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("," + ",".join(["5"] * 16), "row 13 has no label"),
        ("1", "row 13 has 1 columns where the first row has 17"),
        ('1,"5,5', "row 13 has"),
        ("1,1_0," + ",".join(["5"] * 15), "row 13 holds '1_0' in column 2, which is not a number"),
        ("1,1e39," + ",".join(["5"] * 15), "row 13 holds 1e[+]39"),
        ("1," + "5" * 200_000 + "," + ",".join(["5"] * 15), "row 13 holds '555"),
        ('1,"' + "5" * 200_000 + '",' + ",".join(["5"] * 15), "row 13"),
    ],
)
def test_odd_rows_are_named_too(tmp_path, row, message):
    with pytest.raises(UserError, match=message) as error:
        load_data(write_csv(tmp_path / "d.csv", [GOOD] * 12 + [row] + [GOOD] * 3))
    assert len(one_line(error)) < 500


def test_a_label_with_a_comma_and_one_that_is_nearly_a_number(tmp_path):
    pixels = ",".join(["5"] * 16)
    rows = [f'"a,b",{pixels}', f"nan,{pixels}", f'"3","5",{",".join(["5"] * 15)}'] * 5
    data = load_data(write_csv(tmp_path / "d.csv", rows))
    assert data.classes == ("3", "a,b", "nan")
