"""Selections: which epoch of a training is handed over, and when the training ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from evaluators.pictures import render_rows
from evaluators.training.checkpoint import Part, State, bytes_to_tensor, tensor_to_bytes
from evaluators.training.epochs import Training
from nas.core.errors import Diverged
from nas.core.evaluator import WEIGHTS
from nas.core.metric import Metric

Scored = Literal["validation", "test", "seen"]
"""A part of the data that is scored; ``seen``: as many examples of the training part as of the validation part."""


@dataclass(frozen=True)
class Scores:
    """The scores of a model on a part of the data.

    Attributes:
        metrics: by name.
        rows: of images (N, C, H, W) for a picture; empty if there is nothing to show.
    """

    metrics: Mapping[str, float]
    rows: Sequence[Tensor] = ()


def check_finite(found: Scores, epoch: int) -> None:
    """Refuse scores that are not finite.

    Raises:
        Diverged: naming the first.
    """
    for name, value in found.metrics.items():
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value} after epoch {epoch}")


class Selection(Protocol):
    """Sees every epoch of a training, and decides which one is kept."""

    @property
    def ended(self) -> bool:
        """Whether to stop training."""

    def parts(self) -> Mapping[str, Part]:
        """Give what of the selection belongs into a checkpoint, by name."""

    def add(self, epoch: int, found: Scores, weights: Callable[[], bytes], *, updates: int, growing: bool) -> None:
        """Take the next epoch into account, `updates` after the beginning; `growing` networks are not complete yet."""

    def metrics(self) -> dict[str, float]:
        """Give the metrics of the epoch that is kept."""

    def artifacts(self, *, over: bool) -> dict[str, bytes]:
        """Give the files of the epoch that is kept, by name; the weights are among them once the training is `over`."""

    def check(self, training: Training) -> None:
        """Refuse the epoch that is kept if it is no good, once the training is over.

        Raises:
            Collapsed: the message says why.
        """


_LEAST_PATIENCE = 5


class KeepLowest:
    """Keeps the epoch that is best in one metric: a long training may learn its data by heart after that.

    The training is over early once as many epochs as the best took, and five at least, have brought nothing better; of
    one that is gone on with those are counted from there, as it may now be trained otherwise.

    Args:
        picture: the name of its picture.
        metric: its name and direction.
    """

    def __init__(self, picture: str, metric: Metric) -> None:
        self._picture, self._metric = picture, metric
        self._epoch, self._best_epoch, self._began, self._best = 0, 0, 0, math.inf
        self._scores: dict[str, float] = {}
        self._files: dict[str, bytes] = {}

    @property
    def ended(self) -> bool:
        """Whether to train no further."""
        return self._epoch - max(self._best_epoch, self._began) >= max(_LEAST_PATIENCE, self._best_epoch)

    def parts(self) -> Mapping[str, Part]:
        """The best epoch."""
        return {"best": self}

    def add(self, epoch: int, found: Scores, weights: Callable[[], bytes], *, updates: int, growing: bool) -> None:
        """Keep it if it is the best."""
        value = found.metrics[self._metric.name]
        loss = -value if self._metric.direction == "maximize" else value
        self._epoch = epoch
        if loss < self._best:
            self._best, self._best_epoch, self._scores = loss, epoch, dict(found.metrics)
            self._files = {self._picture: render_rows(found.rows)} if found.rows else {}
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
        return {name: bytes_to_tensor(data) for name, data in self._files.items()}, numbers

    def restore(self, state: State) -> None:
        """Go on from what `state` gave."""
        tensors, numbers = state
        self._files = {name: tensor_to_bytes(tensor) for name, tensor in tensors.items()}
        self._epoch, self._best_epoch, self._began = numbers["epoch"], numbers["best_epoch"], numbers["epoch"]
        self._best, self._scores = numbers["best"], numbers["scores"]


class KeepLast:
    """Keeps the last epoch.

    Args:
        picture: the file name of the epoch's picture.
    """

    ended = False

    def __init__(self, picture: str) -> None:
        self._picture = picture

    def parts(self) -> Mapping[str, Part]:
        """Give nothing, because the training's own state is enough."""
        return {}

    def add(self, epoch: int, found: Scores, weights: Callable[[], bytes], *, updates: int, growing: bool) -> None:
        """Keep this epoch."""
        self._found, self._weights = found, weights

    def metrics(self) -> dict[str, float]:
        """Give the metrics of the last epoch."""
        return dict(self._found.metrics)

    def artifacts(self, *, over: bool) -> dict[str, bytes]:
        """Give the picture, and at the end the weights."""
        rows = self._found.rows
        pictures = {self._picture: render_rows(rows)} if rows else {}
        return pictures | ({WEIGHTS: self._weights()} if over else {})

    def check(self, training: Training) -> None:
        """Refuse nothing."""
