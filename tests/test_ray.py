"""Ray Tune as an executor: the contract, in one session; see test_ray_command.py for whole commands."""

import psutil
import pytest

from nas.executors.ray_session import session
from nas.executors.ray_tune import RayTune
from nas.testing import ProcessExecutorContract


@pytest.fixture(scope="module", autouse=True)
def one_session():
    with session(None, cpus=2, gpus=0):
        yield


class TestRayTune(ProcessExecutorContract):
    def make_with(self, **options):
        return RayTune(**options)


def test_no_port_is_open_on_anything_but_loopback():
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    assert len(processes) > 3
    places = {c.laddr.ip for p in processes for c in p.net_connections() if c.status == psutil.CONN_LISTEN}
    assert places <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
