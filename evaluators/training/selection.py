"""Selections: which epoch of a training is handed over, and when the training ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from evaluators.pictures import render_rows
from evaluators.training.checkpoint import Part
from evaluators.training.epochs import Training
from nas.core.evaluator import WEIGHTS


@dataclass(frozen=True)
class Scores:
    """The scores of a model on a part of the data.

    Attributes:
        metrics: by name.
        rows: of images (N, C, H, W) for a picture; empty if there is nothing to show.
    """

    metrics: Mapping[str, float]
    rows: Sequence[Tensor] = ()


class Selection(Protocol):
    """Sees every epoch of a training, and decides which one is kept."""

    @property
    def ended(self) -> bool:
        """Whether to stop training."""

    def parts(self) -> Mapping[str, Part]:
        """Give what of the selection belongs into a checkpoint, by name."""

    def add(self, epoch: int, found: Scores, weights: Callable[[], bytes], *, growing: bool) -> None:
        """Take the next epoch into account; while networks are `growing` they are not complete yet."""

    def metrics(self) -> dict[str, float]:
        """Give the metrics of the epoch that is kept."""

    def artifacts(self, *, over: bool) -> dict[str, bytes]:
        """Give the files of the epoch that is kept, by name; the weights are among them once the training is `over`."""

    def check(self, training: Training) -> None:
        """Refuse the epoch that is kept if it is no good, once the training is over.

        Raises:
            Collapsed: the message says why.
        """


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

    def add(self, epoch: int, found: Scores, weights: Callable[[], bytes], *, growing: bool) -> None:
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
