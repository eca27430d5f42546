"""Which of a training's epochs is handed over, and when the training is over."""

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
    """What is found of a model on a part of the data.

    Attributes:
        metrics: by name.
        rows: of images (N, C, H, W), which a picture shows; none where there is nothing to show.
    """

    metrics: Mapping[str, float]
    rows: Sequence[Tensor] = ()


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
        pictures = {self._picture: render_rows(rows)} if rows else {}
        return pictures | ({WEIGHTS: self._weights()} if over else {})

    def check(self, training: Training) -> None:
        """Nothing is refused."""
