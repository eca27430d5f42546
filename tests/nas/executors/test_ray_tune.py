"""Ray Tune as an executor, all in one session; see test_ray_command.py for whole commands."""

import contextlib
import os
import threading
from dataclasses import replace

import psutil
import pytest
import ray

from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.metric import Metric, metrics_by_name
from nas.core.record import InMemory
from nas.core.search import Search
from nas.core.trial import Measurement, Start
from nas.executors.ray_tune.cluster import folders, session
from nas.executors.ray_tune.executor import RayTune
from nas.testing import ProcessExecutorContract
from nas.testing.executors import toy_search
from nas.testing.toys import ToyEvaluator, ToySpace


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
    places = set()
    for each in processes:
        with contextlib.suppress(psutil.NoSuchProcess):  # a worker of an earlier test, on its way out
            places |= {c.laddr.ip for c in each.net_connections() if c.status == psutil.CONN_LISTEN}
    assert places
    assert places <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


class Heavy(Evaluator):
    """Measures how many threads its libraries use, and brings files."""

    metrics = metrics_by_name(Metric("loss", "minimize"))

    def evaluate(self, trial):
        import torch

        metrics = {"loss": float(torch.get_num_threads()), "omp": float(os.environ["OMP_NUM_THREADS"])}
        yield Measurement(1, metrics, {"weights.safetensors": os.urandom(3_000_000), "picture.png": b"x" * 1000})


class Keeping(InMemory):
    def __init__(self):
        super().__init__()
        self.files = {}

    def record_measurement(self, trial, measurement):
        self.files[trial.number] = {name: len(data) for name, data in measurement.artifacts.items()}


def written_by_tune():
    files = [file for folder in folders() for file in (folder / "search").rglob("*")]
    return sum(file.stat().st_size for file in files if file.is_file())


def test_files_reach_the_record_and_no_disk_and_threads_are_as_many_as_cores():
    record, sizes = Keeping(), []
    search = toy_search(record=record, trials=3)
    RayTune(workers=1, cpus_per_trial=2).run(search, Heavy(), lambda trial: sizes.append(written_by_tune()))
    assert list(record.files.values()) == [{"weights.safetensors": 3_000_000, "picture.png": 1000}] * 3
    assert len(sizes) == 3
    assert max(sizes) < 1_000_000
    assert [dict(trial.metrics) for trial in search.ended] == [{"loss": 2.0, "omp": 2.0}] * 3


class Starting(Search):
    """Lets every trial start from one of two earlier ones."""

    def next(self):
        trial = super().next()
        if trial is None:
            return None
        return replace(trial, start=Start(trial.number % 2, trial.genotype, bytes([trial.number % 2]) * 1_000_000))


class Tracing(Evaluator):
    """Measures what the trial starts from."""

    metrics = metrics_by_name(Metric("loss", "minimize"))

    def evaluate(self, trial):
        held = trial.start.tensors
        yield Measurement(1, {"loss": 0.0, "size": float(len(held)), "first": float(held[0]), "last": float(held[-1])})


def test_what_trials_start_from_is_stored_once(monkeypatch):
    stored, put = [], ray.put
    monkeypatch.setattr(ray, "put", lambda value: stored.append(value) or put(value))
    search = toy_search(kind=Starting, trials=6)
    RayTune(workers=2).run(search, Tracing(), lambda trial: None)
    size = 1_000_000.0
    found = {trial.number: trial.metrics for trial in search.ended}
    assert found == {n: {"loss": 0.0, "size": size, "first": float(n % 2), "last": float(n % 2)} for n in range(6)}
    assert sorted(value[:1] for value in stored if isinstance(value, bytes)) == [b"\x00", b"\x01"]


def test_an_evaluator_that_cannot_travel_is_refused():
    evaluator = ToyEvaluator(ToySpace())
    evaluator.lock = threading.Lock()
    with pytest.raises(UserError, match="cannot be sent to other processes"):
        RayTune(workers=1).run(toy_search(), evaluator, lambda trial: None)


def only_here(process):
    assert os.getpid() == process, "there is no such module"
    return ToyEvaluator(ToySpace())


class Unknown(ToyEvaluator):
    """Of a module that workers do not find."""

    def __reduce__(self):
        return only_here, (os.getpid(),)


def test_an_evaluator_that_workers_cannot_load_is_refused():
    with pytest.raises(UserError, match=r"a worker cannot load the evaluator.*no such module"):
        RayTune(workers=1).run(toy_search(), Unknown(ToySpace()), lambda trial: None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 3}, r"--workers 3: the Ray cluster has 2 cores.*room for 2.*allowed: 1 to 2"),
        ({"cpus_per_trial": 3}, r"--cpus-per-trial 3.*has 2 cores"),
        ({"workers": 2, "cpus_per_trial": 2}, r"--workers 2.*room for 1 with --cpus-per-trial 2"),
        ({"gpus_per_trial": 0.5}, r"--gpus-per-trial 0.5.*has 0 GPUs"),
    ],
)
def test_more_than_there_is_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        RayTune(**options).check("cpu")
