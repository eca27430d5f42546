"""The exported autoencoder of a table reads the user's own tables, and finds the unusual rows."""

import csv
import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch

from evaluators.autoencoder.task import AutoencoderTask
from nas.core.space import sample
from nas.data.cells import MISSING
from nas.data.columns import Column
from nas.data.dataset import Dataset, Split
from nas.export.folder import export_model
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.parts.export import CARD

COLUMNS = (
    Column("height, m", (), 1.5, 0.5),
    Column('"colour"', ("red", "it's", 'a "b" \\')),
    Column("w", (), -2.0, 4.0),
)
ROWS = [["height, m", '"colour"', "w", "extra"], ["2.0", "it's", "-2", "x"], ["", "red", "6", "x"], ["1", "?", "2", ""]]
VECTORS = [[1.0, 0, 1, 0, 0.0], [None, 1, 0, 0, 2.0], [-1.0, None, None, None, 1.0]]


def write_table(path, rows, delimiter=","):
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return str(path)


def read_table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module", params=["plain", "variational"])
def program(request, tmp_path_factory):
    examples = torch.randn(60, 5)
    examples[:, 1:4] = torch.eye(3)[torch.arange(60) % 3]
    examples[0, 0] = float("nan")
    data = Dataset("t", *(Split(part) for part in examples.split(20)), columns=COLUMNS)
    space = (
        AutoencoderSpace()
        .conditioned(None)
        .shaped((5,))
        .restrict({"family": (request.param,), "latent": (2,), "stages": (1,)})
    )
    torch.manual_seed(0)
    genotype = sample(space, np.random.default_rng(0))
    model = space.build(genotype, (5,)).eval()
    (part,) = AutoencoderTask(space, data).deliverables(genotype, model).values()
    folder = tmp_path_factory.mktemp("exports") / request.param
    export_model(part, folder, card=replace(CARD, shape=(5,), kind="vector"))
    spec = importlib.util.spec_from_file_location(f"exported_table_{request.param}", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, model


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_rows_become_the_vectors_that_it_was_trained_on(program, tmp_path, delimiter):
    module, _ = program
    wanted = torch.tensor([[float("nan") if v is None else v for v in row] for row in VECTORS])
    found = module.read_table(write_table(tmp_path / "t.csv", ROWS, delimiter))
    assert torch.equal(found.nan_to_num(9.0), wanted.nan_to_num(9.0))


def test_what_is_missing_is_what_was_when_it_was_trained(program, tmp_path):
    module, _ = program
    assert module.MISSING == MISSING
    rows = [ROWS[0], *([text, text, text, ""] for text in ("NA", " NaN", "Null", "?", "n/a"))]
    assert torch.isnan(module.read_table(write_table(tmp_path / "t.csv", rows))).all()


def test_decimal_commas_are_read(program, tmp_path):
    module, _ = program
    vectors = module.read_table(write_table(tmp_path / "t.csv", [ROWS[0], ["2,25", "red", "-2", ""]], ";"))
    assert vectors[0, 0] == 1.5


def test_words_and_numbers_come_back(program, tmp_path):
    module, _ = program
    vectors = module.read_table(write_table(tmp_path / "t.csv", ROWS[:2]))
    assert module.decode_rows(vectors) == [{"height, m": "2", '"colour"': "it's", "w": "-2"}]


def test_it_writes_reconstructions_with_errors_and_codes(program, tmp_path, capsys):
    module, model = program
    path, out = write_table(tmp_path / "t.csv", ROWS), tmp_path / "out.csv"
    assert module.main([path, "--output", str(out)]) == 0
    vectors = module.read_table(path)
    with torch.no_grad():
        raw = model.decode(model.encode(vectors))
    rows = read_table(out)
    assert [row["w"] for row in rows] == [f"{value * 4 - 2:.6g}" for value in raw[:, 4].tolist()]
    first = [(raw[0, 0] - 1) ** 2, -raw[0, 1:4].log_softmax(0)[1], raw[0, 4] ** 2]
    assert float(rows[0]["error"]) == pytest.approx(sum(first).item() / 3, rel=1e-4)
    missing = [-raw[1, 1:4].log_softmax(0)[0], (raw[1, 4] - 2) ** 2]
    assert float(rows[1]["error"]) == pytest.approx(sum(missing).item() / 2, rel=1e-4)
    assert module.main([path, "--codes", "--output", str(out)]) == 0
    assert list(read_table(out)[0]) == ["code0", "code1"]
    assert "3 rows" in capsys.readouterr().out


def test_variational_ones_draw_rows(program, tmp_path):
    module, model = program
    out = tmp_path / "out.csv"
    if not model.variational:
        with pytest.raises(SystemExit):
            module.main(["--samples", "4"])
        return
    assert module.main(["--samples", "4", "--seed", "2", "--output", str(out)]) == 0
    assert [set(row) for row in read_table(out)] == [{"height, m", '"colour"', "w"}] * 4


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["height, m", "w"], ["1", "2"]], 'no column "colour"'),
        ([ROWS[0], ["tall", "red", "1", ""]], "height, m is 'tall', which is no number"),
        ([ROWS[0], ["1", "green", "1", ""]], "'green', which is not one of"),
        ([ROWS[0]], "has no rows"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_in_one_line(program, tmp_path, capsys, rows, message):
    module, _ = program
    assert module.main([write_table(tmp_path / "t.csv", rows)]) == 2
    said = capsys.readouterr().err.strip()
    assert message in said
    assert "\n" not in said
