"""The best snapshot of a GAN's training, and when to stop: FID jumps, and a GAN can get worse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from evaluators.adversarial.collapse import find_collapse, find_deviation_collapse
from evaluators.training.checkpoint import State, bytes_to_tensor, tensor_to_bytes

_COLLAPSED = 2  # epochs in a row: one alone may be an oscillation
_RISING = 1.1  # times the deviation of the epoch before: a generator that is on its way, and no draw of samples
_LEAST_UPDATES = 500
"""Of the generator, before which no training is given up: after fewer, a good GAN still looks like a collapsed one."""
_LEAST_PATIENCE = 5
_NOISE = 1.5
"""The standard deviation of the FID of one generator over draws of n samples is about this over sqrt(n), of itself:
measured 0.10 to 0.16 with 215 samples of digits (FID 5) and 0.01 to 0.02 with 2,000 of MNIST (FID 40 to 16)."""


@dataclass(frozen=True)
class Snapshot:
    """The model as it was after an epoch, with the average in place of the generator, and its scores.

    Attributes:
        picture: of its samples, as PNG.
        tensors: of the model, in the safetensors format.
    """

    epoch: int
    scores: Mapping[str, float]
    picture: bytes
    tensors: bytes


class Snapshots:
    """Keeps the snapshot of least FID.

    The training should stop after two epochs in a row whose images are all alike and do not differ more than those of
    the epoch before, if these come after 500 updates of the generator and after the first third of the epochs. It
    should also stop if FID has not fallen by twice its noise in half of the epochs, or in five if that is more.

    Args:
        samples: how many images each score is measured on.
        to_the_end: whether the training ends after its last epoch and never before.
        deviation: of the data; see evaluators.adversarial.collapse.
        classes: how many classes the data has; 0 without labels.

    Attributes:
        best: the snapshot that is kept.
        ended: whether to stop training.
        hopeless: whether it ends because nothing better is to be expected.
        mature: whether the generator has had 500 updates, so that images that are alike say something.
    """

    best: Snapshot

    def __init__(self, epochs: int, samples: int, deviation: float, classes: int, *, to_the_end: bool = False) -> None:
        self._epochs, self._deviation, self._classes, self._to_the_end = epochs, deviation, classes, to_the_end
        self._margin = 2 * _NOISE / math.sqrt(samples)
        self._patience = max(_LEAST_PATIENCE, math.ceil(epochs / 2))
        self._level, self._level_epoch = math.inf, 0
        self._least = math.inf
        self._alike, self._deviation_before = 0, math.inf
        self.ended = self.hopeless = self.mature = False

    def add(self, snapshot: Snapshot, updates: int, *, growing: bool = False) -> None:
        """Add the next epoch; while networks are `growing` each epoch replaces the one before, whatever its FID.

        Args:
            updates: how many the generator has had.
        """
        self.mature = updates >= _LEAST_UPDATES
        if growing:
            self.best = snapshot
            return
        epoch, fid = snapshot.epoch, snapshot.scores["fid"]
        if fid < self._least:
            self._least, self.best = fid, snapshot
        if fid < self._level * (1 - self._margin):
            self._level, self._level_epoch = fid, epoch
        deviation = snapshot.scores["sample_deviation"]
        rising = deviation > _RISING * self._deviation_before
        same = find_deviation_collapse(snapshot.scores, self._deviation) is not None
        judged = self.mature and epoch > self._epochs / 3
        self._alike = self._alike + 1 if judged and same and not rising else 0
        self._deviation_before = deviation
        waited = epoch - self._level_epoch
        hopeless = not self._to_the_end and (self._alike == _COLLAPSED or waited >= self._patience)
        self.hopeless = hopeless
        self.ended = epoch == self._epochs or hopeless

    @property
    def collapsed(self) -> str | None:
        """Why the best snapshot counts as collapsed; None if it does not."""
        return find_collapse(self.best.scores, self._deviation, self._classes)

    # -- continuing

    def state(self) -> State:
        """Give everything to continue from, after the first snapshot."""
        best, kept = self.best, {"picture": self.best.picture, "tensors": self.best.tensors}
        numbers = {
            "best": {"epoch": best.epoch, "scores": dict(best.scores)},
            "level": self._level,
            "level_epoch": self._level_epoch,
            "alike": self._alike,
            "deviation_before": self._deviation_before,
            "mature": self.mature,
            "ended": self.ended,
            "hopeless": self.hopeless,
            "epochs": self._epochs,
        }
        return {name: bytes_to_tensor(data) for name, data in kept.items()}, numbers

    def restore(self, state: State) -> None:
        """Continue from what `state` gave."""
        tensors, numbers = state
        self.best = Snapshot(
            **numbers["best"], picture=tensor_to_bytes(tensors["picture"]), tensors=tensor_to_bytes(tensors["tensors"])
        )
        self._least = self.best.scores["fid"]
        self._level, self._level_epoch = numbers["level"], numbers["level_epoch"]
        self._alike, self._deviation_before = numbers["alike"], numbers["deviation_before"]
        self.hopeless, self.mature = numbers.get("hopeless", numbers["ended"]), numbers["mature"]
        # a finalist goes on where a candidate came to its last epoch
        self.ended = self.hopeless or (numbers["ended"] and numbers["epochs"] >= self._epochs)
