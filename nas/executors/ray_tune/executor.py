"""Many workers, each a process of its own, on this machine or a cluster: Ray Tune runs the trials."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.executor import Executor
from nas.core.imports import require_packages
from nas.core.process import count_cores
from nas.core.search import Search
from nas.core.trial import Trial
from nas.executors.ray_tune.attempts import Attempts

if TYPE_CHECKING:
    from nas.executors.ray_tune.adapters import Course

CLIENT = "ray://"
"""How the address of a cluster begins that this machine is no part of."""


class RayTune(Executor):
    """Evaluates several trials at once; the search itself, and all that is written, stay in this process.

    A candidate that takes its process with it, hangs or fills the memory costs a worker and not the search.
    """

    isolated = True
    announces_start = True

    def __init__(
        self,
        workers: Annotated[int | None, "how many trials run at once; by default as many as there is room for"] = None,
        cpus_per_trial: Annotated[int, "cores, and threads, of each"] = 1,
        gpus_per_trial: Annotated[float, "GPUs, or a share of one, of each"] = 0.0,
        address: Annotated[
            str | None, "a cluster to join: auto or HOST:PORT from one of its machines, or ray://HOST:PORT"
        ] = None,
        retries: Annotated[int, "how often a trial is evaluated again whose worker died"] = 1,
        trial_timeout: Annotated[float | None, "the most seconds that an evaluation may take"] = None,
    ) -> None:
        require_packages("--executor", "ray", ("ray",), "'ray[default,tune]'", "inline")
        if gpus_per_trial > 1 and gpus_per_trial != int(gpus_per_trial):
            raise UserError("--gpus-per-trial", gpus_per_trial, "a share of a GPU up to 1, or a whole number of them")
        if address is not None and address != "auto" and ":" not in address.removeprefix(CLIENT):
            raise UserError("--address", address, f"auto, HOST:PORT or {CLIENT}HOST:PORT")
        self._workers, self._cpus, self._gpus = workers, cpus_per_trial, gpus_per_trial
        self._address, self._retries, self._timeout = address, retries, trial_timeout

    def check(self, device: str) -> None:
        """Refuse what this machine or the cluster has no room for, before anything is written.

        Args:
            device: what the evaluator computes on.

        Raises:
            UserError: too few cores or GPUs, GPUs that the evaluator does not use, or there is no such cluster.
        """
        from nas.executors.ray_tune.cluster import has_session, session

        if self._address is None and not has_session():
            self._count_workers(*_count_machine())
        else:
            with session(self._address, cpus=0, gpus=0):
                self._count_workers(*_count_cluster())
        if device.startswith("cuda:"):
            raise UserError("--device", device, "cuda", why="Ray gives each worker a card")
        if (device == "cuda") != (self._gpus > 0):
            allowed = "a share of a GPU such as 0.25, or --device cpu" if device == "cuda" else "0"
            raise UserError("--gpus-per-trial", self._gpus, allowed, why=f"the evaluator computes on {device}")

    def run(self, search: Search, evaluator: Evaluator, progress: Callable[[Trial], None]) -> None:
        """Turn the search until it is over; `progress` is shown every trial that ended.

        Raises:
            UserError: the evaluator cannot do what the user asked for, whatever the candidate.
            KeyboardInterrupt: the user has had enough; the trials that ran are run again on resuming.
        """
        from nas.executors.ray_tune.adapters import Course
        from nas.executors.ray_tune.cluster import has_session, session

        at_once = not has_session()  # who was there before us stays, and what we have begun there is to be cleared
        workers = self._count_workers(*_count_machine()) if at_once and self._address is None else 0
        gpus = math.ceil(workers * self._gpus)
        with session(self._address, cpus=workers * self._cpus, gpus=gpus) as folder:
            workers = self._count_workers(*_count_cluster())
            attempts = Attempts(search, progress, workers=workers, retries=self._retries, timeout=self._timeout)
            course = Course(attempts, at_once=at_once)
            with _end_orderly(course):
                self._turn(course, evaluator, folder, workers)
            if course.fault is not None:
                raise course.fault

    def _turn(self, course: Course, evaluator: Evaluator, folder: Path, workers: int) -> None:
        from nas.executors.ray_tune.adapters import run_tune, store_evaluator
        from nas.executors.ray_tune.client import run_tune_remotely

        size: dict[str, Any] = {"workers": workers, "cpus": self._cpus, "gpus": self._gpus}
        if self._address is not None and self._address.startswith(CLIENT):
            run_tune_remotely(course, store_evaluator(evaluator), **size)
        else:
            run_tune(course, store_evaluator(evaluator), str(folder), **size)

    def _count_workers(self, cpus: int, gpus: float, where: str) -> int:
        """How many workers there shall be.

        Raises:
            UserError: more than there is room for.
        """
        if self._gpus > gpus:
            why = f"{where} has {gpus:g} GPUs"
            raise UserError("--gpus-per-trial", self._gpus, f"up to {gpus:g}" if gpus else "0", why=why)
        if self._cpus > cpus:
            raise UserError("--cpus-per-trial", self._cpus, f"1 to {cpus}", why=f"{where} has {cpus} cores")
        most = cpus // self._cpus
        if self._gpus:
            most = min(most, int(gpus / self._gpus + 1e-9))
        if self._workers is not None and self._workers > most:
            shared = f" with --gpus-per-trial {self._gpus:g}" if self._gpus else ""
            each = f"--cpus-per-trial {self._cpus}{shared}"
            why = f"{where} has {cpus} cores and {gpus:g} GPUs: room for {most} with {each}"
            raise UserError("--workers", self._workers, f"1 to {most}", why=why)
        return self._workers or most


def _count_machine() -> tuple[int, float, str]:
    """Cores and GPUs of this machine that this process may use."""
    import torch

    return count_cores(), float(torch.cuda.device_count()), "this machine"


def _count_cluster() -> tuple[int, float, str]:
    import ray

    found = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return int(found.get("CPU", 0)), float(found.get("GPU", 0)), "the Ray cluster"


@contextlib.contextmanager
def _end_orderly(course: Any) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end Tune's loop between two of its steps, and then do what they do otherwise.

    A second one does it at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, FrameType | None]] = []
    found: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = {number: handler for number, handler in found.items() if callable(handler)}

    def cut(number: int, frame: FrameType | None) -> None:
        course.cut = True
        came.append((number, frame))
        if len(came) > 1:
            before[number](number, frame)

    for number in before:
        signal.signal(number, cut)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number, frame in came[:1]:
        before[number](number, frame)
