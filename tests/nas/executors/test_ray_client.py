"""Ray's client: Tune's loop is in the cluster, and the search in this process."""

import os
import re
import subprocess
import sys
import time
import warnings

import psutil
import pytest

from nas.core.errors import UserError
from nas.executors.ray_tune import cluster as ray_session
from nas.executors.ray_tune.adapters import store_evaluator
from nas.executors.ray_tune.client import run_tune_remotely
from nas.executors.ray_tune.cluster import session
from nas.executors.ray_tune.executor import RayTune
from nas.session.lookup import open_run
from nas.testing import ProcessExecutorContract
from tests.parts.command_line import QUICK, finished, process
from tests.parts.interrupting import journal_trials


class Outside(RayTune):
    """Lets Tune's loop run in another process of the session that this one has."""

    def _turn(self, course, evaluator, folder, workers):
        run_tune_remotely(course, store_evaluator(evaluator), workers=workers, cpus=self._cpus, gpus=self._gpus)


@pytest.fixture(scope="module")
def one_session():
    with session(None, cpus=2, gpus=0):
        yield


@pytest.mark.long
@pytest.mark.usefixtures("one_session")
class TestOutside(ProcessExecutorContract):
    def make_with(self, **options):
        return Outside(**options)


@pytest.fixture
def head(tmp_path_factory, monkeypatch):
    """The address, for clients, of a cluster on loopback that has a token."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "c" * 32)
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # else it listens on all networks
    options = ["--port=6390", "--ray-client-server-port=10001", "--num-cpus=2", "--include-dashboard=false"]
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", *options, "--disable-usage-stats"]
    with subprocess.Popen([*command, "--block"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        try:
            yield "ray://127.0.0.1:10001"
        finally:
            parts = psutil.Process(running.pid).children(recursive=True)
            running.terminate()  # and not ray stop, which ends whatever else of Ray's runs on the machine
            running.wait(timeout=60)
            assert psutil.wait_procs(parts, timeout=60)[1] == []


@pytest.mark.long
def test_from_outside_a_cluster_killed_and_gone_on_with(tmp_path, head):
    path = tmp_path / "runs" / "cut"
    where = ["--executor", "ray", "--address", head, "--workers", "2"]
    running = process("search", "--name", "cut", "--trials", "8", *where, *QUICK, cwd=tmp_path)
    deadline = time.monotonic() + 250
    while not (path / "study.journal").is_file() or journal_trials(path) < 4:
        assert running.poll() is None, running.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    running.kill()
    running.communicate()
    kept = {t.number: t.metrics["seconds"] for t in open_run(path).trials if t.outcome is not None}
    code, _, err = finished("resume", "cut", *where, "--json", cwd=tmp_path)
    assert code == 0, err
    found = {t.number: t.metrics["seconds"] for t in open_run(path).trials}
    assert kept.items() <= found.items()
    assert sorted(found) == list(range(8))
    for _ in range(600):  # Ray waits half a minute for a client that is gone to come back
        names = [p.info["name"] or "" for p in psutil.process_iter(["name"])]
        if not any(re.match(r"ray::(Worker|Desk|_run_tune_there)", name) for name in names):
            break
        time.sleep(0.1)
    else:
        raise AssertionError(f"still there: {names}, load {os.getloadavg()}")


@pytest.mark.parametrize(("failures", "joins"), [(2, True), (9, False)])
def test_a_server_for_the_client_that_did_not_begin_is_asked_for_again(failures, joins, monkeypatch):
    asked = []

    def init(**options):
        asked.append(options["address"])
        if len(asked) <= failures:
            raise RuntimeError("Initialization failure from server:\nStarting Ray client server failed. See its log.")

    monkeypatch.setattr(ray_session.ray, "init", init)
    monkeypatch.setattr(ray_session.ray, "shutdown", lambda: None)
    if joins:
        ray_session._join("ray://127.0.0.1:1")
    else:
        with pytest.raises(UserError, match="cannot be joined"):
            ray_session._join("ray://127.0.0.1:1")
    assert len(asked) == (3 if joins else 5)


def test_a_cluster_that_does_not_answer_is_told_in_the_error_alone(monkeypatch, recwarn):
    def init(**options):
        warnings.warn("Ray Client connection timed out.", stacklevel=2)
        raise ConnectionError("ray client connection timeout")

    monkeypatch.setattr(ray_session.ray, "init", init)
    with pytest.raises(UserError, match="ray client connection timeout"):
        ray_session._join("ray://127.0.0.1:1")
    assert list(recwarn) == []
