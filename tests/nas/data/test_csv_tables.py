"""CSV files whose first line says whether they are tables, or the user."""

import pytest

from nas.core.errors import UserError
from nas.data.loading import load_data
from tests.parts.data import one_line
from tests.parts.tables import write_table

NOTE = "read as a table; if each row is a picture instead, say --image-shape HxW, or --label first, last or none"
ROWS = [[i % 3, *(i * 7 + j for j in range(9))] for i in range(30)]


@pytest.fixture
def path(tmp_path):
    """A file that can be read as both, with a column called as an end is."""
    write_table(tmp_path / "t.csv", ["first", *"abcdefghi"], ROWS)
    return tmp_path / "t.csv"


def test_a_file_that_begins_with_names_is_the_table_that_it_is_by_its_own_word(path):
    for options in ({}, {"drop": "a,b"}, {"label": "i", "group": "first"}):
        read, table = load_data(f"csv:{path}", **options), load_data(f"table:{path}", **options)
        assert read.fingerprint == table.fingerprint
        assert (read.columns, read.classes, read.notes) == (table.columns, table.classes, (*table.notes, NOTE))


def test_rows_of_pixels_are_told_by_their_label_or_their_shape(path):
    for options in ({"label": "first"}, {"image_shape": "3x3"}, {"image_shape": "3x3", "label": "first"}):
        with pytest.raises(UserError, match="its images are 3 x 3"):
            load_data(f"csv:{path}", **options)
    wide = write_table(path, ["kind", *"abcdefghijklmnop"], [[i % 3, *range(i, i + 16)] for i in range(30)])
    data = load_data(wide.replace("table:", "csv:"), label="first")
    assert (data.shape, data.classes, data.notes) == ((1, 4, 4), ("0", "1", "2"), ())


def test_a_column_of_a_table_may_be_called_as_an_end_is(path):
    assert load_data(f"table:{path}", label="first").classes == ("0", "1", "2")
    assert load_data(f"csv:{path}", label="first", drop=["a"]).classes == ("0", "1", "2")
    assert len(load_data(f"table:{path}", label="first").columns) == 9


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (
            "first",
            {"drop": ["a"], "image_shape": "3x3"},
            "--image-shape '3x3': with --drop, --columns, --group or --factors rows",
        ),
        ("first", {"label": "firs"}, "--label 'firs': unknown, did you mean 'first'"),
        ("pixel", {"label": "first", "group": "middle"}, "--group 'middle': unknown"),
        (
            "pixel",
            {"label": "middle"},
            "is read as rows of pixels; table:PATH reads a table; allowed: first, last",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(tmp_path, names, options, message):
    header = ["first", *"abcdefghi"] if names == "first" else ["first", *(f"pixel{i}" for i in range(9))]
    write_table(tmp_path / "t.csv", header, ROWS)
    with pytest.raises(UserError) as error:
        load_data(f"csv:{tmp_path / 't.csv'}", **options)
    assert message in one_line(error)


def test_words_among_pixels_say_how_a_table_is_read(tmp_path):
    write_table(tmp_path / "t.csv", ["last", "who"], [[i, "me"] for i in range(30)])
    with pytest.raises(UserError, match=r"'me' in column 2, which is not a number.*table:PATH reads tables"):
        load_data(f"csv:{tmp_path / 't.csv'}", label="first")
