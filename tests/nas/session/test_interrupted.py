"""What a run survives: signals, a kill at any moment, another process; each in a process of its own."""

import json
import signal
import time

import pytest

from nas.session.lookup import open_run
from tests.parts.command_line import QUICK, finished, process
from tests.parts.interrupting import journal_trials, kill_when


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on_to_the_same_genotypes(tmp_path):
    options = ["--trials", "8", "--finalists", "0", "--json", "--set", "population=3", *QUICK]
    code, _, err = finished("search", "--name", "whole", *options, cwd=tmp_path)
    assert code == 0, err
    whole = open_run(tmp_path / "runs" / "whole").trials
    path = tmp_path / "runs" / "killed"
    running = process("search", "--name", "killed", *options, cwd=tmp_path)
    kill_when(running, path, 2, signal.SIGKILL, extra=0.03)
    running.communicate()
    kept = [t for t in open_run(path).trials if t.outcome is not None]
    with (path / "study.journal").open("ab") as journal:
        journal.write(b'{"op_code": 6, "half a li')
    lock = path / "study.journal.lock"
    if not lock.is_symlink():  # the kill may have come while it was held
        lock.symlink_to("study.journal")
    running = process("resume", "killed", "--json", cwd=tmp_path)
    kill_when(running, path, 5, signal.SIGKILL)
    running.communicate()
    code, out, err = finished("resume", "killed", "--json", cwd=tmp_path)
    assert code == 0, err
    assert json.loads(out)["trials"] == {"complete": 8, "stopped": 0, "failed": 0}
    resumed = open_run(path).trials
    assert [t.genotype for t in resumed] == [t.genotype for t in whole]
    assert [t.metrics["mse"] for t in resumed] == [t.metrics["mse"] for t in whole]
    assert [t.number for t in resumed] == list(range(8))
    for trial in kept:  # nothing that was finished was done again
        assert resumed[trial.number].metrics["seconds"] == trial.metrics["seconds"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_says_how_to_go_on(tmp_path, number):
    running = process("search", "--name", "cut", "--trials", "500", *QUICK, cwd=tmp_path)
    kill_when(running, tmp_path / "runs" / "cut", 2, number)
    sent = time.monotonic()
    out, err = running.communicate(timeout=60)
    assert time.monotonic() - sent < 5
    assert running.returncode == 130
    assert "nas resume runs/cut" in err
    assert "Traceback" not in err
    assert out == ""
    assert journal_trials(tmp_path / "runs" / "cut") >= 2


@pytest.mark.slow
def test_two_processes_cannot_own_one_run(tmp_path):
    running = process("search", "--name", "mine", "--trials", "500", *QUICK, cwd=tmp_path)
    path = tmp_path / "runs" / "mine"
    while journal_trials(path) < 1:
        assert running.poll() is None
        time.sleep(0.05)
    code, _, err = finished("resume", "mine", cwd=tmp_path)
    assert (code, "is in use" in err) == (2, True)
    running.kill()
    running.communicate()
