"""MLflow: a run of its own for the search, and one below it for each trial."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from mlflow.entities import Metric, Param
from mlflow.tracking import MlflowClient

from nas.core.trial import Measurement
from nas.trackers.tracker import Tracker, TrialReport

_EXPERIMENT = "nas"
_MOST = 500  # characters of a parameter


class MLflow(Tracker):
    """Tells the server at an address, by default the one that MLflow is configured for, in its experiment ``nas``."""

    def __init__(self, place: str, run: str) -> None:
        super().__init__(place, run)
        self._client = MlflowClient(place or None)
        found = self._client.get_experiment_by_name(_EXPERIMENT)
        self._experiment = self._client.create_experiment(_EXPERIMENT) if found is None else found.experiment_id
        self._parent = self._client.create_run(self._experiment, run_name=run).info.run_id

    def log_trial(self, trial: TrialReport) -> None:
        """Make a run below the search's."""
        tags = {"mlflow.parentRunId": self._parent, "outcome": trial.outcome, "mlflow.note.content": trial.description}
        name = f"trial {trial.number}"
        identifier = self._client.create_run(self._experiment, tags=tags, run_name=name).info.run_id
        params = [Param(name, str(value)[:_MOST]) for name, value in trial.decisions.items()]
        metrics = [metric for measurement in trial.measurements for metric in _list_metrics(measurement)]
        for start in range(0, len(metrics), 1000):
            self._client.log_batch(identifier, metrics=metrics[start : start + 1000])
        for start in range(0, len(params), 100):
            self._client.log_batch(identifier, params=params[start : start + 100])
        if trial.picture is not None:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "picture.png"
                file.write_bytes(trial.picture)
                self._client.log_artifact(identifier, str(file))
        self._client.set_terminated(identifier, "FINISHED" if trial.measurements else "FAILED")

    def log_epoch(self, number: int, measurement: Measurement) -> None:
        """Tell of a training as it goes on, in the run of the whole."""
        self._client.log_batch(self._parent, metrics=_list_metrics(measurement))

    def close(self, metrics: Mapping[str, float]) -> None:
        """Tell what the best has on the test part."""
        tested = [Metric(f"test_{name}", value, _now(), 0) for name, value in metrics.items()]
        self._client.log_batch(self._parent, metrics=tested)
        self._client.set_terminated(self._parent)


def _list_metrics(measurement: Measurement) -> list[Metric]:
    return [Metric(name, value, _now(), measurement.epoch) for name, value in measurement.metrics.items()]


def _now() -> int:
    return int(1000 * time.time())
