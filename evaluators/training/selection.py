"""Which of a training's epochs is handed over, and when the training is over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from evaluators.pictures import picture_of_rows
from evaluators.training.checkpoint import Part, State, as_bytes, as_tensor
from evaluators.training.growth import Growth
from nas.core.evaluator import WEIGHTS
from nas.core.metric import Metric

_LEAST_PATIENCE = 5


@dataclass(frozen=True)
class Scores:
    """What is found of a model on a part of the data.

    Attributes:
        metrics: by name.
        rows: of images (N, C, H, W), which a picture shows; none where there is nothing to show.
    """

    metrics: Mapping[str, float]
    rows: Sequence[Tensor] = ()


class Training(Part, Protocol):
    """The training of one model: what is trained, an epoch at a time; see SingleNetworkTraining for the attributes."""

    epochs: int
    epochs_done: int
    epoch_size: int | None
    evaluated: nn.Module
    averages: Mapping[str, nn.Module]
    before_update: Callable[[], None]
    growth: Growth | None

    @property
    def updates(self) -> int:
        """How many there have been."""

    def tensors(self) -> Mapping[str, Tensor]:
        """The model's tensors by name, as they are handed over: averages in place of what they follow."""


class Selection(Protocol):
    """Is shown every epoch, and says what is kept of them."""

    @property
    def ended(self) -> bool:
        """Whether to train no further."""

    def parts(self) -> Mapping[str, Part]:
        """What of it belongs into a checkpoint, by name."""

    def add(self, epoch: int, found: Scores, weights: Callable[[], bytes], *, growing: bool) -> None:
        """Take notice of the next epoch; `growing` says that networks are not whole yet."""

    def metrics(self) -> dict[str, float]:
        """Those of what is kept."""

    def artifacts(self, *, over: bool) -> dict[str, bytes]:
        """The files of what is kept, by name; with the weights where the training is `over`."""

    def check(self, training: Training) -> None:
        """Refuse, once the training is over, what is kept.

        Raises:
            Collapsed: saying why.
        """


class KeepLowest:
    """Keeps the epoch that is best in one metric: a long training may learn its data by heart after that.

    The training is over early once as many epochs as the best took, and five at least, have brought nothing better.

    Args:
        picture: the name of its picture.
        metric: its name and direction.
    """

    def __init__(self, picture: str, metric: Metric) -> None:
        self._picture, self._metric = picture, metric
        self._epoch, self._best_epoch, self._best = 0, 0, math.inf
        self._scores: dict[str, float] = {}
        self._files: dict[str, bytes] = {}

    @property
    def ended(self) -> bool:
        """Whether to train no further."""
        return self._epoch - self._best_epoch >= max(_LEAST_PATIENCE, self._best_epoch)

    def parts(self) -> Mapping[str, Part]:
        """The best epoch."""
        return {"best": self}

    def add(self, epoch: int, found: Scores, weights: Callable[[], bytes], *, growing: bool) -> None:
        """Keep it if it is the best."""
        value = found.metrics[self._metric.name]
        loss = -value if self._metric.direction == "maximize" else value
        self._epoch = epoch
        if loss < self._best:
            self._best, self._best_epoch, self._scores = loss, epoch, dict(found.metrics)
            self._files = {self._picture: picture_of_rows(found.rows)} if found.rows else {}
            self._files[WEIGHTS] = weights()

    def metrics(self) -> dict[str, float]:
        """Those of the best epoch, and ``kept_epoch``, which it is."""
        return {**self._scores, "kept_epoch": float(self._best_epoch)}

    def artifacts(self, *, over: bool) -> dict[str, bytes]:
        """The picture, and in the end the weights."""
        return {name: data for name, data in self._files.items() if over or name != WEIGHTS}

    def check(self, training: Training) -> None:
        """Nothing is refused."""

    def state(self) -> State:
        """The best epoch so far."""
        numbers = {"epoch": self._epoch, "best_epoch": self._best_epoch, "best": self._best, "scores": self._scores}
        return {name: as_tensor(data) for name, data in self._files.items()}, numbers

    def restore(self, state: State) -> None:
        """Go on from what `state` gave."""
        tensors, numbers = state
        self._files = {name: as_bytes(tensor) for name, tensor in tensors.items()}
        self._epoch, self._best_epoch = numbers["epoch"], numbers["best_epoch"]
        self._best, self._scores = numbers["best"], numbers["scores"]


class KeepLast:
    """The last epoch is the one that counts.

    Args:
        picture: the name of its picture.
    """

    ended = False

    def __init__(self, picture: str) -> None:
        self._picture = picture

    def parts(self) -> Mapping[str, Part]:
        """Nothing: what an epoch is follows from the training."""
        return {}

    def add(self, epoch: int, found: Scores, weights: Callable[[], bytes], *, growing: bool) -> None:
        """Keep it."""
        self._found, self._weights = found, weights

    def metrics(self) -> dict[str, float]:
        """Those of the last epoch."""
        return dict(self._found.metrics)

    def artifacts(self, *, over: bool) -> dict[str, bytes]:
        """The picture, and in the end the weights."""
        rows = self._found.rows
        pictures = {self._picture: picture_of_rows(rows)} if rows else {}
        return pictures | ({WEIGHTS: self._weights()} if over else {})

    def check(self, training: Training) -> None:
        """Nothing is refused."""
