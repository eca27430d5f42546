"""The command line and trainings in full with runs at URLs."""

import json
import shutil
import signal
import subprocess
import sys

import pytest
from fsspec.implementations.memory import MemoryFileSystem

import nas
from nas.session.checkpoint import CHECKPOINT_FILE, TrainingProgress
from nas.study.remote import urls
from nas.study.remote import working_copy as remote
from tests.parts.command_line import QUICK, finished, process, refused, said
from tests.parts.interrupting import kill_when
from tests.parts.remote_runs import Store, Toy, at_store, files, move_to, search, stop
from tests.parts.toy_trainings import PARTS, TOY

pytestmark = pytest.mark.usefixtures("stores")


@pytest.mark.usefixtures("only_python")
def test_every_command_takes_urls(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    quick = [*QUICK, "--trials", "1"]
    code, out, err = said(capsys, "search", "--runs-dir", "memory://lab/runs", "--name", "ae", "--json", *quick)
    assert code == 0, err
    document = json.loads(out)
    assert document["url"] == "memory://lab/runs/ae"
    assert "run memory://lab/runs/ae" in err
    there = at_store("memory://lab/runs/ae")
    assert {"best/model.py", "best/weights.safetensors", "report.html"} <= set(there)
    assert nas.open_run("memory://lab/runs/ae").tested == document["best"]["test"]

    MemoryFileSystem().pipe_file("/lab/runs/else/notes.txt", b"no run")
    move_to("there", monkeypatch, tmp_path)
    code, out, err = said(capsys, "list", "--runs-dir", "memory://lab/runs", "--json")
    assert [(one["run"], one["state"]) for one in json.loads(out)] == [("ae", "ended")]
    assert err == ""
    copy = urls.find_run_folder("memory://lab/runs/ae")
    assert set(files(copy)) == set(remote.RECORD)  # a list needs no weights
    shown = [said(capsys, "show", *which)[:2] for which in
             (["memory://lab/runs/ae"], ["ae", "--runs-dir", "memory://lab/runs"], [str(copy)])]  # fmt: skip
    assert {code for code, _ in shown} == {0}
    assert len({out for _, out in shown}) == 1
    assert files(copy) == there

    code, out, err = said(capsys, "export", "memory://lab/runs/ae", "--part", "autoencoder", "--format", "python")
    assert code == 0, err
    code, out, err = said(capsys, "resume", "memory://lab/runs/ae", "--trials", "2", "-q")
    assert code == 0, err
    assert at_store("memory://lab/runs/ae") == files(copy)
    refused(capsys, "show", "memory://lab/runs/ae:0")
    from nas.session.lookup import find_architecture, find_run_and_trial

    assert find_run_and_trial("memory://lab/runs/ae:1", tmp_path) == (copy, 1)
    assert find_architecture("memory://lab/runs/ae:1", tmp_path, "--from").number == 1


def test_runs_that_are_not_there_are_told_by_their_urls(capsys, tmp_path, monkeypatch):
    code, _, err = said(capsys, "list", "--runs-dir", "memory://runs")
    assert (code, err) == (0, "no runs in memory://runs; begin one with: nas search\n")
    for command in (["show"], ["resume"], ["export"]):
        assert "RUN 'memory://runs/none': does not exist" in refused(capsys, *command, "memory://runs/none")
    run = search("memory://runs")
    code, _, err = said(capsys, "show", "rum", "--runs-dir", "memory://runs")
    assert (code, "did you mean 'run'" in err) == (2, True)
    MemoryFileSystem().rm("/runs/run", recursive=True)
    code, _, err = said(capsys, "show", "memory://runs/run")
    assert code == 2
    assert f"does not exist any more; what was copied of it here lies in {run.path}" in err
    assert said(capsys, "list", "--runs-dir", "memory://runs", "--json")[1] == "[]\n"


def test_interrupted_it_names_the_url_and_what_is_missing_has_an_exit_code(capsys):
    parts = ["--space", "nas.testing.toys:ToySpace", "--evaluator", "tests.parts.remote_runs:Toy", "--train-size", "64"]
    Toy.at = {1: stop}
    code, _, err = said(capsys, "search", "--runs-dir", "flaky://runs", "--name", "a", "--trials", "3", *parts)
    assert (code, "Go on with: nas resume flaky://runs/a" in err) == (130, True)
    Toy.at = {1: lambda: setattr(Store, "fails", -1)}
    code, _, err = said(capsys, "resume", "flaky://runs/a", "-q")
    assert code == 5
    assert err.splitlines()[-1].startswith("nas: flaky://runs/a cannot be written to")
    Store.fails = 0
    assert said(capsys, "resume", "flaky://runs/a", "-q")[0] == 0


@pytest.mark.slow
def test_killed_with_its_machine_lost_it_goes_on_from_the_url(tmp_path, monkeypatch):
    url, options = (
        f"file://{tmp_path}/kept",
        ["--trials", "4", "--finalists", "0", "--json", "--set", "population=2", *QUICK],
    )
    code, _, err = finished("search", "--name", "whole", *options, cwd=tmp_path)
    assert code == 0, err
    running = process("search", "--name", "cut", "--runs-dir", url, *options, cwd=tmp_path)
    kill_when(running, tmp_path / "kept" / "cut", 2, signal.SIGKILL)
    running.communicate()
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "there"))
    code, out, err = finished("resume", f"{url}/cut", "--json", cwd=tmp_path)
    assert code == 0, err
    assert json.loads(out)["trials"]["complete"] == 4
    whole, resumed = (nas.open_run(tmp_path / which).trials for which in ("runs/whole", "kept/cut"))
    assert [t.genotype for t in resumed] == [t.genotype for t in whole]
    assert [t.metrics["mse"] for t in resumed] == [t.metrics["mse"] for t in whole]


def test_a_training_is_copied_with_each_checkpoint(monkeypatch):
    seen = []
    monkeypatch.setattr(remote, "copy_back", lambda path, **k: seen.append((path / "checkpoint.zip").is_file()))
    nas.train(TOY, 3, runs_dir="memory://runs", name="t", **PARTS)
    assert seen.count(True) == 3 + 1  # and once more at the end of the trial


def test_a_training_goes_on_from_the_url_alone(monkeypatch, tmp_path):
    copy, lives = remote.copy_back, [2]

    def until(path, **options):
        if lives[0]:
            copy(path, **options)
            lives[0] -= (path / CHECKPOINT_FILE).is_file()
        if not lives[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(remote, "copy_back", until)
    with pytest.raises(KeyboardInterrupt):
        nas.train(TOY, 4, runs_dir="memory://runs", name="t", **PARTS)
    monkeypatch.setattr(remote, "copy_back", copy)
    shutil.rmtree(tmp_path / "here")
    assert TrainingProgress.read(remote.locate_run("memory://runs/t") / CHECKPOINT_FILE).epoch == 2
    run = nas.resume("memory://runs/t", **PARTS)
    assert [m.epoch for m in run.trials[0].measurements] == [1, 2, 3, 4]
    assert CHECKPOINT_FILE not in at_store("memory://runs/t")


def test_help_imports_no_fsspec():
    program = "import sys; from nas.cli import run; run(['search', '--help']); print('fsspec' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "False"
