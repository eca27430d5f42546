"""Runs on tables: what of them is used stays with the run, and is told from the command line and Python alike."""

import pytest
import yaml

import nas
from nas.config import RunConfig
from nas.core.errors import UserError
from nas.study.configuration import load_config
from tests.parts.command_line import refused, said
from tests.parts.data import one_line
from tests.parts.tables import write_table

SPACE = "tests.parts.rows:RowClassifiers"
pytestmark = pytest.mark.usefixtures("no_report", "no_export")


@pytest.fixture
def table(tmp_path):
    rows = [[i * 37 % 101, i * 53 % 97 / 7, ("red", "blue")[i % 2], f"house {i % 50}", i % 3] for i in range(300)]
    for row in rows:
        row.append("large" if row[0] > 50 else "small")
    return write_table(tmp_path / "t.csv", ["size", "weight", "colour", "house", "rooms, all", "kind"], rows)


def test_a_run_keeps_what_it_was_told_of_its_table(table, tmp_path):
    told = {"label": "kind", "drop": '"rooms, all",weight', "group": "house"}
    run = nas.search(SPACE, table, trials=1, epochs=30, runs_dir=tmp_path, name="r", finalists=0, **told)
    assert run.tested["accuracy"] > 0.9
    assert run.config.drop == ["rooms, all", "weight"]
    (column, colour) = run.loaded.data.columns
    assert (column.name, colour.values, run.loaded.data.classes) == ("size", ("blue", "red"), ("large", "small"))
    resumed = nas.resume(tmp_path / "r", trials=2)  # which refuses other data
    assert len(resumed.trials) == 2
    for number, found in enumerate((run, str(tmp_path / "r"))):
        trained = nas.train(found, 2, runs_dir=tmp_path, name=f"t{number}")
        assert (trained.config.label, trained.config.group) == ("kind", "house")
        assert trained.loaded.data.fingerprint == run.loaded.data.fingerprint
    other = nas.train(str(tmp_path / "r"), 2, data=table, label="kind", columns=["size", "colour"], runs_dir=tmp_path)
    assert (other.config.group, other.config.drop, other.config.columns) == (None, [], ["size", "colour"])


def test_the_command_line_and_yaml_say_the_same(table, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = ["--label", "kind", "--drop", '"rooms, all",weight', "--columns", "size,colour", "--group", "house"]
    short = ["--trials", "1", "--epochs", "1", "--finalists", "0", "--space", SPACE, "--dataset", table]
    code, _, told = said(capsys, "search", *short, *options, "--name", "one")
    assert code == 0
    assert "300 rows: 1 column of numbers, 1 of words (as 2 numbers); label: kind; group: house" in told
    config = load_config(tmp_path / "runs" / "one")
    assert (config.label, config.group) == ("kind", "house")
    assert (config.drop, config.columns) == (["rooms, all", "weight"], ["size", "colour"])
    (tmp_path / "c.yaml").write_text(config.to_yaml())
    assert said(capsys, "search", "--config", "c.yaml", "--name", "two")[0] == 0
    assert said(capsys, "train", "one", "--epochs", "1", "--drop", "weight", "--name", "three")[0] == 0
    assert load_config(tmp_path / "runs" / "three").drop == ["weight"]
    assert "--label 'knd': unknown, did you mean 'kind'?" in refused(capsys, "search", *short, "--label", "knd")
    assert "--drop 'rooms'" in refused(capsys, "search", *short, "--label", "kind", "--drop", "weight,rooms")
    assert "digits is no table" in refused(capsys, "search", "--label", "kind", "--dataset", "digits")


def test_tables_given_as_objects_are_told_how_to_be_read_where_they_are_read(tmp_path):
    data = {"x_train": [[float(i), i % 3] for i in range(40)], "y_train": [i % 2 for i in range(40)]}
    for options in ({"label": "a"}, {"drop": "a,b"}, {"group": "a"}, {"columns": ["a"]}):
        with pytest.raises(UserError, match=r"given as an object; .*; allowed: tables, such as table:PATH") as error:
            nas.search(SPACE, data, trials=1, runs_dir=tmp_path, **options)
        one_line(error)
    assert not list(tmp_path.iterdir())


def test_names_of_columns_are_checked_and_earlier_runs_have_none():
    config = RunConfig.checked({"drop": "a, b", "columns": ["a,b", "c"]})
    assert (config.drop, config.columns) == (["a", "b"], ["a,b", "c"])
    document = yaml.safe_load(config.to_yaml())
    assert RunConfig.checked(document) == config
    older = {name: value for name, value in document.items() if name not in ("label", "drop", "columns", "group")}
    assert RunConfig.checked(older).reading == RunConfig().reading
    for options in (
        {"drop": "a,,b"},
        {"drop": ""},
        {"drop": 'a,"b'},
        {"drop": "a\nb"},
        {"columns": [1]},
        {"label": ""},
        {"group": ""},
    ):
        ((option, _),) = options.items()
        with pytest.raises(UserError, match=f"--{option} .*; allowed: .*name.* column") as error:
            RunConfig.checked(options)
        one_line(error)
