"""Names are completed with Tab: of what there is, of runs and their trials, of files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nas.cli import run as nas

RUN = Path(__file__).parents[2] / "fixtures" / "runs" / "autoencoder"


def completed(*words):
    given = {"COMP_WORDS": "nas " + " ".join(words), "COMP_CWORD": str(len(words)), "_NAS_COMPLETE": "bash_complete"}
    program = [sys.executable, "-m", "nas"]
    done = subprocess.run(program, env=os.environ | given, capture_output=True, text=True, check=True)
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_names_of_what_there_is():
    assert completed("search", "--strategy", "evo") == ["evolution"]
    assert completed("search", "--dataset", "folder") == ["folder:"]
    assert completed("spaces", "cyc") == ["cyclegan"]
    assert completed("docto") == ["doctor"]


def test_runs_trials_and_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(RUN, tmp_path / "runs" / "mine")
    (tmp_path / "pictures").mkdir()
    assert completed("show", "m") == ["mine"]
    trials = completed("train", "mine:")
    assert trials
    assert all(trial.startswith("mine:") for trial in trials)
    assert completed("train", "other:") == []
    assert completed("search", "--dataset", "folder:pic") == ["folder:pictures/"]


def test_it_is_installed_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    for _ in range(2):
        assert nas(["--install-completion"]) == 0
    assert (tmp_path / ".bashrc").read_text().count("_NAS_COMPLETE=bash_source nas") == 1
    assert "has it already" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["/bin/tcsh", ""])
def test_other_shells_are_refused_in_a_line(tmp_path, monkeypatch, capsys, shell):
    monkeypatch.setenv("SHELL", shell)
    assert nas(["--install-completion"]) == 2
    assert "allowed: bash, zsh, fish" in capsys.readouterr().err
