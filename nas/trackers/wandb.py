"""Weights & Biases: a run for each trial, in a group of the search's name."""

from __future__ import annotations

import io
from collections.abc import Mapping

import wandb
from PIL import Image

from nas.core.trial import Measurement
from nas.trackers.tracker import Tracker, TrialReport

_PROJECT = "nas"


class WeightsAndBiases(Tracker):
    """Tells a project, by default ``nas``; with WANDB_MODE=offline it is kept on this machine."""

    def __init__(self, place: str, run: str) -> None:
        super().__init__(place or _PROJECT, run)
        self._training: wandb.Run | None = None

    def _begin(self, name: str, decisions: Mapping[str, object]) -> wandb.Run:
        return wandb.init(
            project=self.place, group=self.run, name=name, config=dict(decisions), reinit="create_new",
            settings=wandb.Settings(silent=True),
        )  # fmt: skip

    def log_trial(self, trial: TrialReport) -> None:
        """Make a run of its own."""
        with self._begin(f"{self.run} {trial.number}", trial.decisions) as run:
            for measurement in trial.measurements:
                run.log(dict(measurement.metrics), step=measurement.epoch)
            run.summary.update({"description": trial.description, "outcome": trial.outcome})
            if trial.picture is not None:
                with Image.open(io.BytesIO(trial.picture)) as picture:
                    run.log({"picture": wandb.Image(picture.convert("RGB"))})

    def log_epoch(self, number: int, measurement: Measurement) -> None:
        """Tell of a training as it goes on."""
        self._training = self._training or self._begin(f"{self.run} training", {})
        self._training.log(dict(measurement.metrics), step=measurement.epoch)

    def close(self, metrics: Mapping[str, float]) -> None:
        """Tell what the best has on the test part."""
        with self._training or self._begin(f"{self.run} test", {}) as run:
            run.summary.update({f"test/{name}": value for name, value in metrics.items()})
