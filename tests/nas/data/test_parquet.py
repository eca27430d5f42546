"""Tables in Parquet: read as the same tables in CSV are, with their types."""

import builtins
import datetime
import decimal

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from nas.core.errors import UserError
from nas.data.loading import load_data, load_unsplit
from nas.data.reading import Reading
from tests.parts.data import one_line
from tests.parts.tables import write_table


def write_parquet(path, columns):
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    return f"parquet:{path}"


def test_a_table_is_the_same_in_csv_and_in_parquet(tmp_path):
    rows = [[i / 7, ("red", "blue", " NA")[i % 3], "ab"[i % 2], i % 4, None if i == 5 else i] for i in range(60)]
    names = ["x", "colour", "y", "n", "gaps"]
    csv = load_data(write_table(tmp_path / "t.csv", names, rows), label="y", group="n")
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    parquet = load_data(write_parquet(tmp_path / "t.parquet", columns), label="y", group="n")
    assert parquet.fingerprint == csv.fingerprint
    assert (parquet.columns, parquet.classes, parquet.notes) == (csv.columns, csv.classes, csv.notes)
    assert (
        parquet.notes[0]
        == "60 rows: 2 columns of numbers, 1 of words (as 2 numbers), 21 missing values; label: y; group: n"
    )
    assert parquet.train.labels.tolist() == csv.train.labels.tolist()


def test_types_become_numbers_or_words_or_are_left_out(tmp_path):
    count = 24
    day = datetime.datetime(2024, 1, 1)
    columns = {
        "whole": pyarrow.array([i - 5 for i in range(count)], pyarrow.int8()),
        "large": pyarrow.array([2**60 + i * 2**20 for i in range(count)], pyarrow.uint64()),
        "half": np.arange(count, dtype=np.float16),
        "money": [decimal.Decimal(i) / 4 for i in range(count)],
        "yes": [None if i == 3 else i % 3 == 0 for i in range(count)],
        "coded": pyarrow.array([("b", "a", None)[i % 3] for i in range(count)]).dictionary_encode(),
        "grades": pyarrow.array([i % 5 for i in range(count)]).dictionary_encode(),
        "texts": [str(i / 2) for i in range(count)],
        "day": [day + datetime.timedelta(i) for i in range(count)],
        "list": [[i] for i in range(count)],
        "bytes": [b"x%d" % (i % 2) for i in range(count)],
        "nothing": pyarrow.nulls(count),
        "__index_level_0__": [3 * i for i in range(count)],
    }
    data = load_unsplit(write_parquet(tmp_path / "t.parquet", columns), Reading())
    assert [(column.name, column.values) for column in data.columns] == [
        ("whole", ()), ("large", ()), ("half", ()), ("money", ()), ("yes", ("false", "true")), ("coded", ("a", "b")),
        ("grades", ()), ("texts", ()),
    ]  # fmt: skip
    numbers = data.pool.examples.numpy()
    assert numbers[:3, 0].tolist() == [-5, -4, -3]
    assert numbers[2, 1] == 2**60 + 2**21
    assert numbers[3, :3].tolist() == [-2, 2**60 + 3 * 2**20, 3]
    assert numbers[3, 3] == 0.75
    assert np.isnan(numbers[3, 4:6]).all()
    assert numbers[4, 4:].tolist() == [1, 0, 1, 0, 4, 2]
    assert data.notes[1:] == (
        "left out: 'day', as it holds dates or times",
        "left out: 'list', as it holds values of the type list<element: int64>",
        "left out: 'bytes', as it holds values of the type binary",
        "left out: 'nothing', as all rows have the same",
        "left out: '__index_level_0__', as without a name it names the rows",
    )
    with pytest.raises(UserError, match="--label 'day': it holds dates or times"):
        load_data(f"parquet:{tmp_path / 't.parquet'}", label="day")


def test_a_folder_of_files_is_one_table(tmp_path):
    (tmp_path / "parts").mkdir()
    for part in range(3):
        write_parquet(
            tmp_path / "parts" / f"{part}.parquet", {"x": [part * 10.0 + i for i in range(10)], "y": [*"ab"] * 5}
        )
    data = load_data(f"parquet:{tmp_path / 'parts'}", label="y")
    assert data.notes == ("30 rows: 1 column of numbers; label: y",)


def test_faults_are_named(tmp_path):
    (tmp_path / "no.parquet").write_text("a,b\n1,2\n")
    with pytest.raises(UserError, match="a Parquet file that can be read"):
        load_data(f"parquet:{tmp_path / 'no.parquet'}")
    with pytest.raises(UserError, match="does not exist"):
        load_data(f"parquet:{tmp_path / 'none.parquet'}")
    with pytest.raises(UserError, match="row 4 holds inf in column 'x'") as error:
        load_data(write_parquet(tmp_path / "t.parquet", {"x": [0.0, 1.0, 2.0, np.inf] * 5}))
    one_line(error)
    with pytest.raises(UserError, match="holds no row"):
        load_data(write_parquet(tmp_path / "t.parquet", {"x": pyarrow.array([], pyarrow.float64())}))
    with pytest.raises(UserError, match="--columns 'z': unknown"):
        load_data(write_parquet(tmp_path / "t.parquet", {"x": [1.0] * 20, "y": [2.0] * 20}), columns=["z"])


def test_without_pyarrow_the_error_says_what_to_install(tmp_path, monkeypatch):
    name, imported = write_parquet(tmp_path / "t.parquet", {"x": [1.0, 2.0] * 10}), builtins.__import__

    def refuse(module, *args):
        if module.startswith("pyarrow"):
            raise ModuleNotFoundError(module)
        return imported(module, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(UserError, match="needs pyarrow; allowed: pip install pyarrow"):
        load_data(name)
