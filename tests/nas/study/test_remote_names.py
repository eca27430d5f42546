"""Names in a store that lead elsewhere: nothing is written outside a run's working copy."""

import pytest
from fsspec.implementations.memory import MemoryFileSystem

import nas
from tests.parts.remote_runs import Store, move_to, search

pytestmark = pytest.mark.usefixtures("stores")


@pytest.mark.parametrize("name", ["../escaped", "artifacts/../../escaped", "a\\..\\escaped", "..", "artifacts/./x"])
def test_nothing_is_written_outside_the_working_copy(name, tmp_path, monkeypatch):
    search("memory://runs")
    MemoryFileSystem.store[f"/runs/run/{name}"] = MemoryFileSystem().open("/x", "wb", data=b"escaped")
    move_to("there", monkeypatch, tmp_path)
    with pytest.raises(nas.UserError, match=r"RUN 'memory://runs/run': has .* a name that leads elsewhere"):
        nas.open_run("memory://runs/run")
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.read_bytes() == b"escaped"]


def test_a_listing_of_other_places_is_refused(monkeypatch, tmp_path):
    search("flaky://runs")
    monkeypatch.setattr(Store, "lies", ({"name": "/etc/passwd", "size": 1, "type": "file"},))
    with pytest.raises(nas.UserError, match="'/etc/passwd'"):
        nas.open_run("flaky://runs/run")


def test_a_link_in_the_working_copy_is_not_followed(tmp_path):
    run = search("memory://runs")
    (tmp_path / "mine").mkdir()
    (run.path / "sub").symlink_to(tmp_path / "mine")
    MemoryFileSystem().pipe_file("/runs/run/sub/x", b"escaped")
    with pytest.raises(nas.UserError, match="without links"):
        nas.open_run("memory://runs/run")
    assert not list((tmp_path / "mine").iterdir())


def test_locks_and_hidden_files_of_a_store_stay_there(monkeypatch, tmp_path):
    search("memory://runs")
    for name in (".lock", "study.journal.lock", ".copied.json", "best/__pycache__/model.pyc"):
        MemoryFileSystem().pipe_file(f"/runs/run/{name}", b"hostile")
    move_to("there", monkeypatch, tmp_path)
    path = nas.open_run("memory://runs/run").path
    assert not [p for p in path.rglob("*") if p.is_file() and p.read_bytes() == b"hostile"]
