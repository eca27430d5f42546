"""The worker process of Ray: it evaluates one trial after the other, an epoch a step."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from typing import Any

import ray
import threadpoolctl
from ray import tune

from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.trial import Measurement
from nas.executors.evaluation import EvaluationEnd, advance, begin_evaluation
from nas.executors.ray_tune.serialization import Parcel

BEGUN, MEASURED, ENDED, REFUSED = "begun", "measured", "ended", "refused"
"""What a step brings: the worker's handle, a Measurement, an EvaluationEnd, or the UserError that ends the search."""


class Worker(tune.Trainable):
    """Evaluates the trial of its configuration; used for one trial after the other."""

    def setup(self, config: dict[str, Any], evaluator: list[Any], threads: int) -> None:  # type: ignore[override]
        """Once a process: fetch the evaluator, and with it the data. It lies in the object store, behind its reference.

        What goes wrong is told by the first step, as this here would be taken for the worker's death.
        """
        self._measurements: Generator[Measurement, None, None] | None = None
        _use_threads(threads)
        self._refusal: UserError | None = None
        try:
            self._evaluator: Evaluator = ray.get(evaluator[0])
        except Exception as error:  # noqa: BLE001 - a user's module may raise anything
            why = f"a worker cannot load the evaluator ({' '.join(str(error).split())[:300]})"
            allowed = "workers that find the same modules: see --working-dir in docs/cluster.md"
            self._refusal = UserError("--executor", "ray", allowed, why=why)
        _use_threads(threads)  # of the libraries that came with it
        self._take(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Another trial."""
        self.cleanup()
        self._take(new_config)
        return True

    def _take(self, config: dict[str, Any]) -> None:
        parcel: Parcel = config["parcel"]
        self._announced = False
        if self._refusal is None:
            self._measurements = begin_evaluation(self._evaluator, parcel.unpack())

    def step(self) -> dict[str, Any]:
        """First that the worker has begun, then a measurement each, then the end."""
        if not self._announced:
            self._announced = True
            return {BEGUN: ray.get_runtime_context().current_actor}
        if self._refusal is not None:
            return {REFUSED: self._refusal}
        assert self._measurements is not None
        try:
            found = advance(self._measurements)
        except UserError as error:
            return {REFUSED: error}
        return {ENDED if isinstance(found, EvaluationEnd) else MEASURED: found}

    def cleanup(self) -> None:
        """Leave the evaluation, however far it is."""
        if self._measurements is not None:
            self._measurements.close()
            self._measurements = None


def _use_threads(count: int) -> None:
    """Let no library of this process use more threads than the worker was given cores."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(count)
    threadpoolctl.threadpool_limits(count)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
