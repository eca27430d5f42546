"""URLs as places of runs: one folder each, refused in a line where they cannot be."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nas
from nas.config import RunConfig
from nas.study.remote import urls
from tests.parts.command_line import said
from tests.parts.remote_runs import search

pytestmark = pytest.mark.usefixtures("stores")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://bucket/runs", "--runs-dir 's3://bucket/runs': .*s3fs.*pip install s3fs"),
        ("nothing://x", "--runs-dir 'nothing://x': fsspec knows no protocol 'nothing'; allowed: a folder, or a URL"),
        ("://x", "fsspec knows no protocol ''"),
        ("simplecache::memory://x", "fsspec knows no protocol"),
        ("ftp://me:sesame@host/runs", r"--runs-dir 'ftp://...@host/runs': has a password or a query in it"),
        ("memory://runs?token=sesame", r"--runs-dir 'memory://runs': has a password or a query in it"),
        ("memory://" + "x" * 300, "is too long"),
        (Path("s3://bucket/runs"), "must be given as text"),
    ],
)
def test_bad_urls_are_told_in_a_line_before_anything_is_written(url, message, tmp_path, capsys):
    with pytest.raises(nas.UserError, match=message) as error:
        search(url)
    assert "sesame" not in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
    if isinstance(url, str):
        for command in (["search"], ["list"], ["show", "x"]):
            code, _, err = said(capsys, *command, "--runs-dir", url)
            assert (code, err.count("\n"), "sesame" in err) == (2, 1, False)
        assert said(capsys, "show", url + "/run")[0] == 2


def test_a_url_is_one_place_and_one_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert urls.find_runs_folder("memory://a/b/") == urls.find_runs_folder("memory://a/b")
    assert urls.find_runs_folder("file://runs") == urls.find_runs_folder(f"file://{tmp_path}/runs") != Path("runs")
    assert urls.find_run_folder("memory://a/b/run") == urls.find_runs_folder("memory://a/b") / "run"
    assert urls.find_run_folder("memory:///run") == urls.find_runs_folder("memory:///") / "run"
    assert urls.find_url(urls.find_run_folder("memory://run")) == "memory://run"
    assert urls.find_url(tmp_path) is None
    assert (
        urls.find_url(tmp_path / "here" / "runs" / "faces") is None
    )  # NAS_DATA_DIR/runs as an ordinary folder of runs
    assert urls.find_runs_folder("runs") == Path("runs")
    for url in ("memory://a/..", "memory://a/.hidden", "memory://"):
        with pytest.raises(nas.UserError, match="the URL of a run"):
            urls.find_run_folder(url)


@given(st.text(st.characters(exclude_characters="?@\0", exclude_categories=["Cs"]), max_size=15))
def test_every_url_is_got_back_from_its_folder(text):
    folder = urls.find_runs_folder(f"memory://runs/{text}")
    assert urls.find_url(folder) == f"memory://runs/{text}".rstrip("/")
    assert folder.parent == urls.find_runs_folder("memory://x").parent


def test_a_configuration_takes_urls_and_keeps_none(tmp_path):
    config = RunConfig.checked({"runs_dir": "memory://runs"})
    assert config.runs_dir == urls.find_runs_folder("memory://runs")
    assert "memory://" not in config.to_yaml()
    assert not list(tmp_path.iterdir())
