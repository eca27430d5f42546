"""Rows of pixels as programs write them: any separator, packed, numbered, with the label at either end or nowhere."""

import gzip

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from nas.core.errors import UserError
from nas.data.loading import load_data
from tests.parts.data import keys, one_line

PIXELS = np.random.default_rng(0).integers(2, 256, (40, 16))
LABELS = np.arange(40) % 3
INDEX = "the first column numbers the rows and was passed over"
LAST = "the last column was read as the label"


def write(path, table, separator=",", header=(), end="", packed=False):
    lines = [separator.join(map(str, row)) + end for row in ([header] if header else []) + [list(row) for row in table]]
    content = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(content) if packed else content)
    return f"csv:{path}"


def check(data, classes=("0", "1", "2")):
    parts = (data.train, data.validation, data.test)
    assert data.shape == (1, 4, 4)
    assert data.classes == classes
    assert set.union(*map(keys, parts)) == set(map(tuple, PIXELS.tolist()))
    if classes:
        wanted = {tuple(row): str(label) for row, label in zip(PIXELS.tolist(), LABELS, strict=True)}
        for part in parts:
            found = [classes[label] for label in part.labels]
            assert found == [wanted[tuple(image.flatten().tolist())] for image in part.examples]


FIRST, LABEL_LAST = np.column_stack([LABELS, PIXELS]), np.column_stack([PIXELS, LABELS])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("ends", [False, True])
def test_separators_packing_and_a_separator_at_the_end(separator, packed, ends, tmp_path):
    name = write(tmp_path / "d.csv", FIRST, separator, end=separator if ends else "", packed=packed)
    data = load_data(name)
    check(data)
    assert data.notes == ()


@pytest.mark.parametrize(
    "header", [("", "label", *range(16)), ("Unnamed: 0", "label", *map("px{}".format, range(16))), ()]
)
def test_a_column_that_numbers_the_rows_is_passed_over(header, tmp_path):
    header = tuple(f"pixel{name}" if isinstance(name, int) else name for name in header)
    data = load_data(write(tmp_path / "d.csv", np.column_stack([np.arange(40), FIRST]), header=header))
    check(data)
    assert data.notes == (INDEX,)


def test_a_label_in_the_last_column_is_found_and_said(tmp_path):
    """The issue's case: 30 rows with a pixel first made 29 classes."""
    data = load_data(write(tmp_path / "d.csv", LABEL_LAST))
    check(data)
    assert data.notes == (LAST,)
    digits = load_digits()
    rows = np.column_stack([digits.data.astype(int), digits.target])
    found = load_data(write(tmp_path / "digits.csv", rows))
    assert (found.classes, found.notes) == (tuple("0123456789"), (LAST,))


@pytest.mark.parametrize("name", ["label", "Class", "target", "y"])
def test_a_name_says_which_column_is_the_label(name, tmp_path):
    names = [f"pixel{i}" for i in range(16)]
    check(load_data(write(tmp_path / "d.csv", LABEL_LAST, header=[*names, name])))
    check(load_data(write(tmp_path / "d.csv", FIRST, header=[name, *names])))


def test_words_say_which_column_is_the_label(tmp_path):
    words = np.array(["0", "1", "2"])[LABELS]
    table = [[*row, f"class {word}"] for row, word in zip(PIXELS.tolist(), words, strict=True)]
    data = load_data(write(tmp_path / "d.csv", table))
    assert data.classes == ("class 0", "class 1", "class 2")


def test_where_both_ends_may_be_the_label_it_is_asked_for(tmp_path):
    table = FIRST.copy()
    table[:, -1] = np.arange(40) % 2
    name = write(tmp_path / "d.csv", table)
    with pytest.raises(
        UserError, match=r"--label: .*not clear which column is the label.*allowed: first, last, none"
    ) as e:
        load_data(name)
    one_line(e)
    assert load_data(name, label="first").classes == ("0", "1", "2")
    assert load_data(name, label="last").classes == ("0", "1")
    with pytest.raises(UserError, match=r"--label 'middle'.*allowed: first, last, none"):
        load_data(name, label="middle")


def test_a_class_for_most_rows_is_asked_about_too(tmp_path):
    table = np.column_stack([np.arange(40) * 6 + 3, PIXELS])
    with pytest.raises(UserError, match="not clear which column is the label"):
        load_data(write(tmp_path / "d.csv", table))


def test_rows_without_a_label_are_seen_by_their_length(tmp_path):
    data = load_data(write(tmp_path / "d.csv", PIXELS))
    check(data, classes=())
    assert (data.train.labels, data.notes) == (None, ("no column is a label",))


@pytest.mark.parametrize(
    ("shape", "found"), [("2x16", None), ("8x4", (1, 8, 4)), ("2x4x4", (2, 4, 4)), ("4x4x2", (2, 4, 4))]
)
def test_rows_that_make_no_square_have_the_shape_that_is_asked_for(shape, found, tmp_path):
    rows = np.random.default_rng(0).integers(2, 256, (30, 32))
    rows[:, 31] = 9
    name = write(tmp_path / "d.csv", np.column_stack([np.arange(30) % 3, rows]))
    with pytest.raises(UserError, match=r"32 pixels, which make no square; allowed: .*--image-shape"):
        load_data(name)
    if found is None:
        with pytest.raises(UserError, match="images are 2 x 16"):
            load_data(name, image_shape=shape)
        return
    data = load_data(name, image_shape=shape)
    assert (data.shape, data.classes) == (found, ("0", "1", "2"))
    order = (0, 2, 3, 1) if shape == "4x4x2" else (0, 1, 2, 3)
    parts = (data.train, data.validation, data.test)
    assert {tuple(image) for part in parts for image in part.examples.permute(order).flatten(1).tolist()} == set(
        map(tuple, rows.tolist())
    )


def test_a_shape_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"--image-shape '5x5'.*a row has 16 numbers") as error:
        load_data(write(tmp_path / "d.csv", FIRST), image_shape="5x5", label="first")
    one_line(error)


def test_a_faulty_row_is_named_where_the_label_is_last_and_the_rows_are_numbered(tmp_path):
    table = np.column_stack([np.arange(40), LABEL_LAST]).astype(str)
    table[30, 4] = "x"
    with pytest.raises(UserError, match="row 31 holds 'x' in column 5, which is not a number"):
        load_data(write(tmp_path / "d.csv", table))
    table[30, 4] = "900"
    with pytest.raises(UserError, match="row 31 holds 900"):
        load_data(write(tmp_path / "d.csv", table))
    rows = table.tolist()
    rows[30] = rows[30][:-1]
    with pytest.raises(UserError, match="row 31 has 17 columns where the first row has 18"):
        load_data(write(tmp_path / "d.csv", rows), label="last")


def test_a_damaged_archive_is_refused_in_one_line(tmp_path):
    write(tmp_path / "d.csv.gz", FIRST, packed=True)
    content = bytearray((tmp_path / "d.csv.gz").read_bytes())
    for cut in (content[:-9], content[:40], content[:60] + b"\0\1\2" + content[63:]):
        (tmp_path / "d.csv.gz").write_bytes(cut)
        with pytest.raises(UserError, match="allowed: a CSV file that can be read") as error:
            load_data(f"csv:{tmp_path / 'd.csv.gz'}")
        one_line(error)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    separator=st.sampled_from([",", ";", "\t"]),
    numbered=st.booleans(),
    named=st.booleans(),
    quoted=st.booleans(),
    place=st.sampled_from(["first", "last"]),
    ends=st.booleans(),
    packed=st.booleans(),
    seed=st.integers(0, 999),
)
def test_however_a_table_is_written_the_same_images_and_labels_are_read(
    tmp_path, separator, numbered, named, quoted, place, ends, packed, seed
):
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 256, (20, 9 * 3 + 9))
    pixels[:, 0], pixels[:, -1] = np.arange(20) + 50, np.arange(20) + 100  # no column of classes
    labels = np.array(["ape", "bee"])[generator.permutation(20) % 2]
    labels = [f'"{label}{separator} x"' for label in labels] if quoted else list(labels)
    rows = [
        [label, *row] if place == "first" else [*row, label] for label, row in zip(labels, pixels.tolist(), strict=True)
    ]
    names = [f"px{i}" for i in range(36)]
    names = ["label", *names] if place == "first" else [*names, "label"]
    if numbered:
        rows, names = [[number, *row] for number, row in enumerate(rows)], ["", *names]
    end = separator if ends else ""
    data = load_data(write(tmp_path / "d.csv", rows, separator, names if named else (), end, packed))
    assert data.shape == (1, 6, 6)
    assert data.classes == ((f"ape{separator} x", f"bee{separator} x") if quoted else ("ape", "bee"))
    wanted = {tuple(row): label.strip('"') for row, label in zip(pixels.tolist(), labels, strict=True)}
    for part in (data.train, data.validation, data.test):
        for image, label in zip(part.examples, part.labels, strict=True):
            assert wanted[tuple(image.flatten().tolist())] == data.classes[label]
    assert torch.cat([p.labels for p in (data.train, data.validation, data.test)]).bincount().tolist() == [10, 10]
