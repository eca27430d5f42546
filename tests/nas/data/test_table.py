"""Tables in CSV: read as they were written, told in one line, and faults named by row and column."""

import csv
import gzip

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.core.errors import UserError
from nas.data.cells import is_date, is_missing, is_number
from nas.data.loading import load_data, load_unsplit
from nas.data.reading import Reading
from nas.data.sources.table import looks_like_table
from tests.parts.data import one_line
from tests.parts.tables import write_table

letters = st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufeff")
words = (
    st.text(letters, min_size=1, max_size=6)
    .map(str.strip)
    .filter(lambda word: not is_missing(word) and not is_number(word) and not is_date(word))
)
number_cells = st.one_of(st.floats(-3e38, 3e38), st.integers(-(10**9), 10**9), st.sampled_from(["", "NA", "nan", "?"]))


@st.composite
def tables(draw):
    """Names, cells by columns, and what each column is: None for numbers, or its words."""
    rows = draw(st.integers(12, 30))
    names = draw(st.lists(words, min_size=2, max_size=5, unique=True))
    kinds = [draw(st.one_of(st.none(), st.lists(words, min_size=2, max_size=4, unique=True))) for _ in names]
    columns = []
    for kind in kinds:
        cells = number_cells if kind is None else st.sampled_from([*kind, "", " null "])
        first = [0.25, -1.5] if kind is None else [*kind, *kind]
        rest = rows - len(first)
        columns.append(first + draw(st.lists(cells, min_size=rest, max_size=rest)))
    return names, columns, kinds


@settings(deadline=None)
@given(tables(), st.sampled_from(",;\t"), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_is_written_is_read(tmp_path_factory, table, separator, quoting):
    names, columns, kinds = table
    path = tmp_path_factory.mktemp("table") / "t.csv"
    data = load_unsplit(write_table(path, names, zip(*columns, strict=True), separator, quoting=quoting), Reading())
    assert [column.name for column in data.columns] == names
    numbers = iter(data.pool.examples.T.numpy())
    for column, kind, cells in zip(data.columns, kinds, columns, strict=True):
        assert column.values == (() if kind is None else tuple(sorted(kind)))
        missing = [is_missing(str(cell)) for cell in cells]
        if kind is None:
            wanted = [np.nan if gone else float(cell) for cell, gone in zip(cells, missing, strict=True)]
            assert np.array_equal(next(numbers), wanted, equal_nan=True)
            continue
        for word in sorted(kind):
            wanted = [np.nan if gone else float(cell == word) for cell, gone in zip(cells, missing, strict=True)]
            assert np.array_equal(next(numbers), wanted, equal_nan=True)
    assert list(numbers) == []
    assert data.notes[0].startswith(f"{len(columns[0])} rows: ")


PEOPLE = ["height", "colour", "smokes", "class"]


def people(count=40):
    """Rows of a table with a column of numbers, one of words, one of booleans and one of whole numbers."""
    return [
        [f"{150 + i * 7 % 40}.5", ("red", "blue", "green")[i % 3], str(i % 2 == 0), str(i % 4)] for i in range(count)
    ]


def test_a_table_is_split_and_standardised_by_its_training_part(tmp_path):
    rows = people()
    rows[3][0], rows[5][1] = "", "NA"
    data = load_data(write_table(tmp_path / "t.csv", PEOPLE, rows), label="class")
    assert data.notes == ("40 rows: 1 column of numbers, 2 of words (as 5 numbers), 2 missing values; label: class",)
    assert (data.kind, data.shape, data.classes) == ("vector", (6,), ("0", "1", "2", "3"))
    assert [column.values for column in data.columns] == [(), ("blue", "green", "red"), ("False", "True")]
    heights = data.train.examples[:, 0]
    heights = heights[~heights.isnan()]
    assert heights.mean().item() == pytest.approx(0, abs=1e-6)
    assert heights.std(correction=0).item() == pytest.approx(1, abs=1e-6)
    every = [data.train, data.validation, data.test]
    examples, labels = torch.cat([part.examples for part in every]), torch.cat([part.labels for part in every])
    assert examples.dtype == torch.float32
    height = data.columns[0]
    found = {(round(float(x[0]) * height.deviation + height.mean, 3), int(x[5]), int(y))
             for x, y in zip(examples, labels, strict=True) if not x[0].isnan()}  # fmt: skip
    assert found == {(float(row[0]), int(row[2] == "True"), int(row[3])) for row in rows if row[0]}
    assert int(examples[:, 1:4].isnan().all(1).sum()) == int(examples[:, 1:4].isnan().any(1).sum()) == 1


def test_columns_are_chosen_dropped_and_refused_by_name(tmp_path):
    name = write_table(tmp_path / "t.csv", PEOPLE, people())

    def names(**options):
        return [column.name for column in load_data(name, **options).columns]

    assert names() == PEOPLE
    assert names(drop=["colour", "class"]) == ["height", "smokes"]
    assert names(columns=["colour", "height"], label="class") == ["height", "colour"]
    assert load_data(name, label="colour").classes == ("blue", "green", "red")
    for options, message in (
        ({"label": "clas"}, "--label 'clas': unknown, did you mean 'class'?; allowed: class, colour, height, smokes"),
        ({"drop": ["hight"]}, "--drop 'hight': unknown, did you mean 'height'?"),
        ({"columns": ["colors"]}, "--columns 'colors': unknown"),
        ({"group": "rooms"}, "--group 'rooms': unknown"),
        ({"label": "height"}, "--label 'height': row 2 holds 150.5; allowed: a column of whole numbers or of words"),
        (
            {"drop": PEOPLE},
            "no column is left; allowed: a column besides those of --label, --group, --factors and --drop",
        ),
        ({"image_size": 8}, "--image-size 8: the data are vectors"),
    ):
        with pytest.raises(UserError) as error:
            load_data(name, **options)
        assert message in one_line(error)


def test_what_says_nothing_or_too_much_is_left_out_with_a_note(tmp_path):
    rows = [[i, i + 1, 7, f"name {i}", f"2024-01-{1 + i % 28:02}", "", f"w{i % 130}", i % 5] for i in range(260)]
    names = ["", "Id", "same", "who", "day", "nothing", "words", "x"]
    name = write_table(tmp_path / "t.csv", names, rows)
    data = load_data(name)
    assert [column.name for column in data.columns] == ["x"]
    assert data.notes == (
        "260 rows: 1 column of numbers",
        "left out: '', as without a name it names the rows",
        "left out: 'Id', as it numbers the rows",
        "left out: 'same', 'nothing', as all rows have the same",
        "left out: 'who', as nearly every row has its own",
        "left out: 'day', as it holds dates or times",
        "left out: 'words', as there are more than 100 different words",
    )
    assert [column.name for column in load_data(name, columns=["x", "Id"]).columns] == ["Id", "x"]
    with pytest.raises(UserError, match="--columns 'day': it holds dates or times; allowed: columns of numbers"):
        load_data(name, columns=["day", "x"])


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n{},\n".replace("{}", "1,x"),  # a comma after each row
        "a,b,\n1,x,\n",  # and after the names
        "\n\na,b\n\n1,x\n\n",
        '"a", "b"\n1, "x"\n',
        "a;b\n1;x\n",
        "a\tb\n1\tx\n",
        "\ufeffa,b\r\n1,x\r\n",
        "a,b\r1,x\r",
    ],
)
def test_forms_that_programs_write(tmp_path, text):
    lines = text.splitlines(keepends=True)
    row = next(line for line in lines if line.strip().startswith("1"))
    more = "".join(row.replace("1", str(i)).replace("x", "yz"[i % 2]) for i in range(2, 20))
    (tmp_path / "t.csv").write_text(text + more, newline="", encoding="utf-8")
    data = load_unsplit(f"table:{tmp_path / 't.csv'}", Reading())
    assert [(column.name, column.values) for column in data.columns] == [("a", ()), ("b", ("x", "y", "z"))]
    assert data.pool.examples[:, 0].tolist() == list(range(1, 20))


def test_compressed_tables_and_decimal_commas(tmp_path):
    rows = [[f"{i}.{i}00,{i}", f"{i},5", i % 3] for i in range(1, 10)] * 2
    name = write_table(tmp_path / "t.csv.gz", ["big", "half", "x"], rows, ";")
    data = load_unsplit(name, Reading())
    assert data.pool.examples[0].tolist() == [1100.1, 1.5, 1.0]
    assert [column.values for column in data.columns] == [(), (), ()]
    (tmp_path / "cut.csv.gz").write_bytes((tmp_path / "t.csv.gz").read_bytes()[:-12])
    (tmp_path / "bad.csv.gz").write_bytes(gzip.compress(b"a,b\n")[:12] + b"\xff" * 20)
    for broken in ("cut.csv.gz", "bad.csv.gz"):
        with pytest.raises(UserError, match="a CSV file that can be read"):
            load_data(f"table:{tmp_path / broken}")


def test_a_column_that_turns_out_to_be_of_words_far_below_is_of_words_from_the_first_row(tmp_path):
    rows = [[i, "1.0" if i % 2 else "01"] for i in range(25_000)]
    rows[24_000][1] = "one"
    data = load_unsplit(write_table(tmp_path / "t.csv", ["x", "code"], rows), Reading())
    assert data.columns[1].values == ("01", "1.0", "one")
    assert data.pool.examples[:, 1:].sum(0).tolist() == [12_499, 12_500, 1]
    assert data.pool.examples[:, 0].tolist() == list(range(25_000))


GOOD = [f"{i},w{i % 3}" for i in range(1, 201)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,a,2", "row 202 has 3 cells where the first line has 2 names"),
        ("1", "row 202 has 1 cells"),
        ("1,inf", None),
        ("inf,w1", "row 202 holds inf in column 'x'"),
        ("1e300,w1", "row 202 holds 1e+300 in column 'x'"),
        ("12.3.4,w1", "row 202 holds '12.3.4' in column 'x'; allowed: numbers in a column of which most cells are"),
        ("1_0,w1", "row 202 holds '1_0' in column 'x'"),
        ('1,"w1', "row 202 cannot be read (unexpected end of data)"),
        ('1,"w1"w', "row 202 cannot be read"),
        ("1,w\0", "row 202 holds other bytes in column 'y'"),
        ("1,w\udce4", "row 202 holds other bytes in column 'y'; allowed: text in UTF-8"),
    ],
)
def test_a_faulty_row_is_named_and_its_column(tmp_path, row, message):
    text = "\n".join(["x,y", *GOOD, row]) + "\n"
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    if message is None:  # a word
        assert "inf" in load_data(f"table:{tmp_path / 't.csv'}").columns[1].values
        return
    with pytest.raises(UserError) as error:
        load_data(f"table:{tmp_path / 't.csv'}")
    assert message in one_line(error)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no row"),
        (b"a,b\n", "holds no row below its names"),
        (b"a,a\n1,2\n", "two columns are called 'a'"),
        (b"a,,b\n1,2,3\n", "column 2 has none"),
        (b"\x89PNG\0\xff,\xfe\n1,2\n", "its first line is none; allowed: text in UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "its first line is none"),
        (b"a,b\n1,2\n3,4\n", "10 vectors or more"),
        (b"a\n" + b"5\n" * 20, "left out: 'a', as all rows have the same"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError) as error:
        load_data(f"table:{tmp_path / 't.csv'}")
    assert message in one_line(error)


def test_labels_are_in_every_row_and_few(tmp_path):
    rows = [[i % 9, i % 7, f"w{i}"] for i in range(1200)]
    name = write_table(tmp_path / "t.csv", ["x", "y", "z"], rows)
    with pytest.raises(UserError, match=r"--label 'z': it has 1,200; allowed: .* at most 1000 different ones"):
        load_data(name, label="z")
    rows[3][1] = ""
    with pytest.raises(UserError, match="--label 'y': row 5 has none; allowed: a column with a value in every row"):
        load_data(write_table(tmp_path / "t.csv", ["x", "y", "z"], rows), label="y")


def test_whole_numbers_are_classes_in_their_order(tmp_path):
    rows = [[i, (10, -2, 9)[i % 3]] for i in range(30)]
    data = load_data(write_table(tmp_path / "t.csv", ["x", "y"], rows), label="y")
    assert data.classes == ("-2", "9", "10")
    back = data.train.examples[:, 0] * data.columns[0].deviation + data.columns[0].mean
    assert data.train.labels.tolist() == [(2, 0, 1)[round(x) % 3] for x in back.tolist()]


def test_rows_of_one_group_are_kept_in_one_part(tmp_path):
    rows = [[i, i % 5, f"patient {i % 20}"] for i in range(200)]
    name = write_table(tmp_path / "t.csv", ["x", "y", "who"], rows)
    for seed in range(3):
        data = load_data(name, group="who", seed=seed)
        assert [column.name for column in data.columns] == ["x", "y"]
        column = data.columns[0]
        numbers = [
            {round(x * column.deviation + column.mean) % 20 for x in part.examples[:, 0].tolist()}
            for part in (data.train, data.validation, data.test)
        ]
        assert sum(map(len, numbers)) == len(set.union(*numbers)) == 20
        assert [len(part) for part in (data.train, data.validation, data.test)] == [140, 20, 40]
    assert data.notes == ("200 rows: 2 columns of numbers; group: who",)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("a,b\n1,2\n", True),
        (",a,b\n0,1,2\n", True),
        ("a;b\n1;2\n", True),
        ("height\n1\n", True),
        ("x1,x2,y\n1,2,3\n", True),
        ("label,pixel0,pixel1\n1,2,3\n", False),
        ("label,1x1,1x2\n1,2,3\n", False),
        ("label,pixel_0_0,pixel_0_1\n1,2,3\n", False),
        (",0,1,2\n0,1,2,3\n", False),
        ("5.1,3.5,1.4,Iris-setosa\n", False),
        ("cat,0,255\n", False),
        ("", False),
        ("\n\n", False),
    ],
)
def test_a_table_is_known_by_its_first_line(tmp_path, text, is_one):
    (tmp_path / "t.csv").write_text(text)
    assert looks_like_table(tmp_path / "t.csv") is is_one
    with gzip.open(tmp_path / "t.csv.gz", "wt") as file:
        file.write(text)
    assert looks_like_table(tmp_path / "t.csv.gz") is is_one


def test_what_cannot_be_read_does_not_look_like_a_table(tmp_path):
    (tmp_path / "t.gz").write_bytes(b"\x1f\x8b\x08")
    assert not looks_like_table(tmp_path)
    assert not looks_like_table(tmp_path / "none.csv")
    assert not looks_like_table(tmp_path / "t.gz")


def test_names_that_are_numbers_are_taken_and_told(tmp_path):
    name = write_table(tmp_path / "t.csv", ["1990", "1991"], [[i, i % 3] for i in range(20)])
    assert load_data(name).notes[1] == "the first line was taken as names, though '1990' is a number"
