"""Runs at the command line: listed, shown and exported."""

import errno
import io
import json
import shutil

import filelock

from nas.cli import run as nas
from nas.session.lookup import open_run


def test_list_show_and_export(searched, capsys, tmp_path):
    folder, _, _ = searched
    runs = ["--runs-dir", str(folder / "runs")]
    assert nas(["list", *runs]) == 0
    listed = capsys.readouterr().out
    assert "five" in listed
    assert "5/5" in listed
    assert "ended" in listed
    assert nas(["show", "five", *runs]) == 0
    assert "nas dashboard" in capsys.readouterr().out
    assert nas(["show", "five", "--trial", "3", "--json", *runs]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["number"], shown["outcome"], len(shown["epochs"])) == (3, "complete", 1)
    output = tmp_path / "exported"
    assert nas(["export", "five", "--trial", "2", "--format", "python", "--output", str(output), *runs]) == 0
    assert {path.name for path in output.iterdir()} == {
        "model.py", "README.md", "weights.safetensors", "samples.safetensors", "reconstructions.png",
    }  # fmt: skip


def test_one_damaged_run_does_not_hide_the_others(searched, tmp_path, capsys):
    folder, _, _ = searched
    runs = tmp_path / "runs"
    for name in ("good", "no config", "no study", "cut"):
        shutil.copytree(folder / "runs" / "five", runs / name)
    (runs / "no config" / "config.yaml").unlink()
    (runs / "no study" / "study.journal").write_text("")
    (runs / "cut" / "study.journal").write_text('{"op_code"\n{}\n')
    (runs / "empty").mkdir()
    assert nas(["show", str(runs / "empty")]) == 2
    assert not list((runs / "empty").iterdir())
    capsys.readouterr()
    assert nas(["list", "--runs-dir", str(runs)]) == 0
    listed = capsys.readouterr()
    assert "good" in listed.out
    for name in ("no config", "no study", "cut"):
        assert f"{name}: unreadable" in listed.err
        assert nas(["show", name, "--runs-dir", str(runs)]) == 2
        assert "did you mean" not in capsys.readouterr().err


def test_an_export_replaces_nothing_that_is_not_an_export(searched, tmp_path, capsys):
    folder, _, _ = searched
    theirs = tmp_path / "hf"
    theirs.mkdir()
    for name in ("README.md", "weights.safetensors", "thesis.txt"):
        (theirs / name).write_text("mine")
    arguments = ["export", "five", "--runs-dir", str(folder / "runs"), "--format", "python", "--output"]
    assert nas([*arguments, str(theirs)]) == 2
    assert "holds something else" in capsys.readouterr().err
    assert {path.read_text() for path in theirs.iterdir()} == {"mine"}
    assert nas([*arguments, str(tmp_path / "new")]) == 0
    assert nas([*arguments, str(tmp_path / "new")]) == 0
    (tmp_path / "new" / "notes.txt").write_text("mine")
    assert nas([*arguments, str(tmp_path / "new")]) == 2


def test_a_narrow_table_drops_columns_rather_than_digits(searched):
    from rich.console import Console

    from nas.cli.tables import make_best_table

    folder, _, _ = searched
    run = open_run(folder / "runs" / "five")
    wide, narrow = (Console(width=width, record=True, quiet=False, file=io.StringIO()) for width in (200, 60))
    for out in (wide, narrow):
        out.print(make_best_table(run, run.ranked(), out))
    texts = [out.export_text() for out in (wide, narrow)]
    value = f"{run.ranked()[0].metrics['mse']:.5g}"
    assert all(value in text for text in texts)
    assert "memory MB" in texts[0]
    assert "memory MB" not in texts[1]
    assert "\u2026" not in texts[1]


def test_a_run_that_may_only_be_read_is_shown(searched, tmp_path, monkeypatch, capsys):
    folder, _, _ = searched

    def refuse(self, *arguments, **options):
        raise OSError(errno.EROFS, "Read-only file system", str(folder))

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    assert nas(["list", "--runs-dir", str(folder / "runs")]) == 0
    assert nas(["show", "five", "--runs-dir", str(folder / "runs")]) == 0
    assert "ended" in capsys.readouterr().out
