"""TensorBoard's files: a folder a trial, with its curves, its decisions and its picture."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from torch.utils.tensorboard import SummaryWriter

from nas.core.trial import Measurement
from nas.trackers.tracker import Tracker, TrialReport


class TensorBoard(Tracker):
    """Writes below a folder, by default ``runs-tensorboard``; ``tensorboard --logdir`` shows it."""

    def __init__(self, place: str, run: str) -> None:
        super().__init__(place or "runs-tensorboard", run)
        self._folder = Path(self.place) / run

    def log_trial(self, trial: TrialReport) -> None:
        """Write a folder of its own."""
        with SummaryWriter(str(self._folder / f"trial-{trial.number:04d}")) as writer:
            for measurement in trial.measurements:
                for name, value in measurement.metrics.items():
                    writer.add_scalar(name, value, measurement.epoch)
            writer.add_text("description", f"{trial.description}\n\n{trial.outcome}")
            if trial.measurements:
                last = {f"last/{name}": value for name, value in trial.measurements[-1].metrics.items()}
                writer.add_hparams(dict(trial.decisions), last, run_name=".")
            if trial.picture is not None:
                with Image.open(io.BytesIO(trial.picture)) as picture:
                    writer.add_image("picture", np.asarray(picture.convert("RGB")), dataformats="HWC")

    def log_epoch(self, number: int, measurement: Measurement) -> None:
        """Write the curves of a training as it goes on."""
        with SummaryWriter(str(self._folder / "training")) as writer:
            for name, value in measurement.metrics.items():
                writer.add_scalar(name, value, measurement.epoch)

    def close(self, metrics: Mapping[str, float]) -> None:
        """Write what the best has on the test part."""
        with SummaryWriter(str(self._folder / "test")) as writer:
            for name, value in metrics.items():
                writer.add_scalar(name, value, 0)
