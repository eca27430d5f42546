"""Sources of data: one entry of the mapping is enough for listing, help, names and loading."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from nas.cli.catalogue import datasets_command
from nas.core.errors import UserError
from nas.data.catalogue import absolute_name, data_set_names, describe_data_set, shorten_name, strip_transformations
from nas.data.dataset import Split
from nas.data.loading import load_data
from nas.data.source import Source, UnsplitData
from nas.data.sources import SOURCES


def load_constants(request):
    """As many vectors as the file has characters: a source of its own, as a new file would hold it."""
    text = request.find_path().read_text()
    return UnsplitData(Split.from_arrays(np.full((len(text), 3), 7, np.float32)), notes=("all are seven",))


@pytest.fixture
def constants(monkeypatch):
    source = Source("constants", "sevens, one a character", load_constants, argument="PATH", details="A text file.")
    monkeypatch.setitem(SOURCES, source.name, source)


@pytest.mark.usefixtures("constants")
def test_a_source_is_one_entry(tmp_path, monkeypatch):
    (tmp_path / "d.txt").write_text("x" * 30)
    monkeypatch.chdir(tmp_path)
    listed = CliRunner().invoke(datasets_command).output
    assert "\nconstants:PATH  sevens, one a character\n" in listed
    for name in ("constants:PATH", "constants", "constants:d.txt"):
        explained = CliRunner().invoke(datasets_command, [name]).output
        assert explained.startswith("constants:PATH: sevens, one a character.\nA text file.\nSplit, once")
    data = load_data("constants:d.txt")
    assert (data.kind, data.shape, data.notes) == ("vector", (3,), ("all are seven",))
    assert absolute_name("constants:d.txt") == f"constants:{tmp_path / 'd.txt'}"
    assert shorten_name("inverted:constants:a/d.txt") == "inverted:constants:d.txt"
    with pytest.raises(UserError, match="names no path; allowed: constants:PATH"):
        load_data("constants:")
    with pytest.raises(UserError, match=r"did you mean 'constants:PATH'.*, constants:PATH,"):
        load_data("constant:PATH")


@pytest.mark.usefixtures("constants")
def test_a_source_made_of_another_is_one_entry_as_well(tmp_path, monkeypatch):
    def load_twice(request):
        data = request.load(request.argument)
        return UnsplitData(Split(data.pool.examples * 2), notes=data.notes)

    monkeypatch.setitem(SOURCES, "twice", Source("twice", "another data set, doubled", load_twice, argument="NAME"))
    (tmp_path / "d.txt").write_text("x" * 30)
    monkeypatch.chdir(tmp_path)
    assert load_data("twice:constants:d.txt").train.examples.unique().tolist() == [14]
    assert load_data("twice:twice:constants:d.txt").train.examples.unique().tolist() == [28]
    assert strip_transformations("twice:inverted:constants:d.txt") == "constants:d.txt"
    assert absolute_name("twice:constants:d.txt") == f"twice:constants:{tmp_path / 'd.txt'}"
    assert describe_data_set("twice:digits").startswith("twice:NAME: another data set, doubled.")
    with pytest.raises(UserError, match="names no data set; allowed: twice:NAME"):
        load_data("twice")


def test_every_source_stands_under_its_name_and_says_what_it_is():
    assert list(data_set_names()) == [source.pattern for source in SOURCES.values()]
    for name, source in SOURCES.items():
        assert source.name == name
        assert source.about
        assert not source.about.endswith(".")
        assert "\n" not in source.about
        assert source.details or source.downloads or source.argument is None


def test_listing_the_data_sets_needs_no_torch():
    program = (
        "import sys\n"
        "from nas.cli import main\n"
        "try:\n    main(['datasets'])\nexcept SystemExit:\n    pass\n"
        "from nas.data.catalogue import describe_data_set\n"
        "describe_data_set('mnist')\n"
        "print([name for name in ('torch', 'torchvision', 'sklearn') if name in sys.modules])"
    )
    listed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "npy:PATH" in listed
    assert listed.endswith("\n[]\n")


def test_a_function_of_ones_own_is_a_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("own_rows.py").write_text(
        "import torch\n"
        "from nas.data.dataset import Split\n"
        "from nas.data.source import UnsplitData\n"
        "def rows():\n    return UnsplitData(Split(torch.rand(20, 3)))\n"
        "def wrong():\n    return 3\n"
    )
    data = load_data("own_rows:rows", train_size=10)
    assert (data.name, data.kind, len(data.train)) == ("own_rows:rows", "vector", 10)
    for name, why in (
        ("own_rows:wrong", "it gives a int; allowed: a function that gives a nas.data.source.UnsplitData"),
        ("own_rows:none", "own_rows has no none"),
        ("own_rows.deeper:rows", "No module named"),
        ("folde:rows", "did you mean 'folder:PATH'.*module:function"),
    ):
        with pytest.raises(UserError, match=why):
            load_data(name)


def test_a_library_s_names_and_those_of_folders_hold_from_everywhere(tmp_path, monkeypatch):
    (tmp_path / "d").mkdir()
    monkeypatch.chdir(tmp_path)
    assert absolute_name("hf:d::test") == f"hf:{tmp_path / 'd'}::test"
    assert absolute_name("hf:org/name:small") == "hf:org/name:small"
    assert shorten_name("hf:org/name:small") == "hf:name:small"


def test_without_hugging_faces_library_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UserError, match=r"needs datasets.*pip install 'nas-generative\[hf\]'") as error:
        load_data("hf:mnist")
    assert "\n" not in str(error.value)
