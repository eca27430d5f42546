"""What a tracker is, and how one is made by its name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

from nas.core.errors import unknown_name
from nas.core.imports import require_packages
from nas.core.space import Value
from nas.core.trial import Measurement

TRACKERS = {
    "tensorboard": ("nas.trackers.tensorboard:TensorBoard", "tensorboard"),
    "mlflow": ("nas.trackers.mlflow:MLflow", "mlflow"),
    "wandb": ("nas.trackers.wandb:WeightsAndBiases", "wandb"),
}
"""Where each is, and the package that it needs, of which an extra of ours has the name."""


@dataclass(frozen=True)
class TrialReport:
    """A trial that has ended, as trackers are told of it.

    Attributes:
        number: counted from 0 within the run.
        description: what it is, in words.
        outcome: how it ended, and why where it did not end well.
        decisions: the genotype's, by name.
        measurements: after every epoch, without artifacts.
        picture: PNG; None if it has none.
    """

    number: int
    description: str
    outcome: str
    decisions: Mapping[str, Value]
    measurements: tuple[Measurement, ...]
    picture: bytes | None


class Tracker:
    """Tells a service or a file of a run, from the process that drives it.

    Args:
        place: what the user wrote after the tracker's name and a colon: a folder, an address, a project; may be empty.
        run: the run's name.
    """

    def __init__(self, place: str, run: str) -> None:
        self.place, self.run = place, run

    def log_trial(self, trial: TrialReport) -> None:
        """Tell of a trial that has ended."""

    def log_epoch(self, number: int, measurement: Measurement) -> None:
        """Tell of an epoch of a training in full, as it happens; `log_trial` tells of all of them."""

    def close(self, metrics: Mapping[str, float]) -> None:
        """Tell of the best's metrics on the test part, and end."""


def make_tracker(text: str, run: str) -> Tracker:
    """Make the tracker that ``name`` or ``name:place`` stands for; see `find_tracker`."""
    return find_tracker(text)(text.partition(":")[2], run)


def find_tracker(text: str) -> type[Tracker]:
    """Find the kind of tracker that ``name`` or ``name:place`` stands for.

    Raises:
        UserError: there is none, or what it needs is not installed.
    """
    name = text.partition(":")[0]
    if name not in TRACKERS:
        raise unknown_name("--track", name, TRACKERS)
    path, package = TRACKERS[name]
    require_packages("--track", text, [package], f"'nas-generative[{package}]'", "a search without it")
    module, _, kind = path.partition(":")
    found: type[Tracker] = getattr(importlib.import_module(module), kind)
    return found
