"""Searches with workers on the command line: what is refused, and what signals and kills leave behind."""

import os
import random
import signal
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from nas.cli import run as nas
from nas.session.lookup import open_run
from tests.parts.command_line import QUICK, SHORT, finished, process, refused
from tests.parts.interrupting import journal_trials

KILLS = int(os.environ.get("NAS_TEST_KILLS", "1"))
"""At how many random moments the driver is killed."""


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "2", "--executor", "inline"], "--workers 2: --executor inline has no such option"),
        (["--trial-timeout", "10s"], "--trial-timeout 10.0: --executor inline has no such option"),
        (["--retries", "2"], "--retries 2: --executor inline has no such option"),
        (["--trial-timeout", "soon", "--workers", "2"], "--trial-timeout 'soon'"),
        (["--workers", "0"], "--workers 0"),
        (["--workers", "4096"], "--workers 4096: this machine has"),
        (["--executor", "ray", "--cpus-per-trial", "4096"], "--cpus-per-trial 4096: this machine has"),
        (["--executor", "ray", "--gpus-per-trial", "999"], "--gpus-per-trial 999.0: this machine has"),
        (["--executor", "ray", "--gpus-per-trial", "1.5"], "--gpus-per-trial 1.5"),
        (["--executor", "ray", "--address", "here"], "--address 'here'"),
        (["--executor", "ray", "--address", "ray://head"], "--address 'ray://head'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(options, words, tmp_path, capfd):
    err = refused(capfd, "search", "--runs-dir", str(tmp_path / "runs"), *SHORT, *options)
    assert words in err
    assert "allowed:" in err
    assert not (tmp_path / "runs").exists()


def test_a_training_in_full_is_not_sent_away(tmp_path, capsys):
    genotype = tmp_path / "genotype.json"
    genotype.write_text('{"space": "autoencoder", "version": 1, "content": {}}')
    options = ["--epochs", "2", "--executor", "ray", "--runs-dir", str(tmp_path / "runs")]
    assert nas(["train", str(genotype), *options]) == 2
    assert "--executor 'ray'" in capsys.readouterr().err


@pytest.fixture
def temporary(monkeypatch):
    """A folder for temporary files of this test's commands, of a name that is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="t", dir=Path(tempfile.gettempdir()).anchor + "tmp") as folder:
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def ended(path):
    return {trial.number: trial.metrics["seconds"] for trial in open_run(path).trials if trial.outcome is not None}


def wait_for(running, path, trials):
    deadline = time.monotonic() + 250  # Ray is slow to begin where others work
    while not (path / "study.journal").is_file() or journal_trials(path) < trials:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.long
@pytest.mark.parametrize("kill", range(KILLS))
def test_interrupted_or_killed_nothing_is_left_behind_and_nothing_is_lost(tmp_path, temporary, kill):
    """Ctrl-C as a terminal sends it, to all processes; then SIGKILL to the driver; then to the end."""
    path = tmp_path / "runs" / "cut"
    options = ["--name", "cut", "--trials", "40", "--workers", "2", "--set", "population=4"]
    for number, command in ((signal.SIGINT, ["search", *options, *QUICK]), (signal.SIGKILL, ["resume", "cut"])):
        kept = ended(path) if path.exists() else {}
        running = process(*command, cwd=tmp_path, start_new_session=True)
        wait_for(running, path, len(kept) + 3)
        time.sleep(random.Random(kill).uniform(0, 0.5))
        children = psutil.Process(running.pid).children(recursive=True)
        assert any("ray" in " ".join(child.cmdline()) for child in children)
        sent = time.monotonic()
        if number == signal.SIGINT:
            os.killpg(running.pid, number)
        else:
            running.kill()
        _, err = running.communicate(timeout=60)
        # workers end at once with a driver that is killed; Ray's agents tell a dead server of it for a minute
        _, alive = psutil.wait_procs(children, timeout=90)
        assert alive == []
        if number == signal.SIGINT:
            busy = os.getloadavg()[0] > 2 * (os.cpu_count() or 1)
            assert time.monotonic() - sent < (30 if busy else 5)
            assert running.returncode == 130
            assert err.splitlines()[-1].startswith("interrupted; ")
            assert "nas resume runs/cut" in err
            assert "Traceback" not in err
            assert list(temporary.glob("nas-ray-*")) == []
        now = ended(path)
        assert kept.items() <= now.items()
    code, _, err = finished("resume", "cut", "--executor", "inline", "--json", cwd=tmp_path)
    assert code == 0, err
    trials = open_run(path).trials
    assert [trial.number for trial in trials] == list(range(40))
    assert all(trial.outcome is not None and trial.outcome.kind == "complete" for trial in trials)
    assert now.items() <= ended(path).items()
