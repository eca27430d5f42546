"""The selection of a GAN's training: the best epoch is kept, and a film is made of all epochs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from evaluators.adversarial.snapshots import Snapshot, Snapshots
from evaluators.pictures import Film, render_rows
from evaluators.training.checkpoint import Part
from evaluators.training.epochs import Training
from evaluators.training.selection import Scores
from nas.core.errors import Collapsed
from nas.core.evaluator import WEIGHTS


class KeepBest:
    """Keeps the snapshot of least FID; see evaluators.adversarial.snapshots.

    The metrics are those of the snapshot; ``epoch_fid``, the FID of the last epoch; and ``kept_epoch``, the epoch of
    the snapshot.

    Args:
        picture: the file name of the snapshot's picture.
        protocol: what the scores depend on besides the generator.
        usual: how many epochs are enough to say whether a training has collapsed.
        frames: how many epochs the film will have; None if the training may end earlier.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        *,
        picture: str,
        protocol: Mapping[str, str | int | float],
        usual: int,
        frames: int | None,
    ) -> None:
        self._snapshots, self._film = snapshots, Film(frames)
        self._picture, self._protocol, self._usual = picture, dict(protocol), usual

    @property
    def ended(self) -> bool:
        """Whether to stop training."""
        return self._snapshots.ended

    def parts(self) -> Mapping[str, Part]:
        """Give the snapshots and the film."""
        return {"snapshots": self._snapshots, "film": self._film}

    def add(self, epoch: int, found: Scores, weights: Callable[[], bytes], *, updates: int, growing: bool) -> None:
        """Add the next epoch to the snapshots and to the film."""
        self._film.add(epoch, found.rows)
        snapshot = Snapshot(epoch, found.metrics, render_rows(found.rows), weights())
        self._snapshots.add(snapshot, updates, growing=growing)
        self._epoch, self._fid = epoch, found.metrics["fid"]

    def metrics(self) -> dict[str, float]:
        """Give the metrics of the snapshot, ``epoch_fid`` and ``kept_epoch``."""
        best = self._snapshots.best
        return {**best.scores, "epoch_fid": self._fid, "kept_epoch": float(best.epoch)}

    def artifacts(self, *, over: bool) -> dict[str, bytes]:
        """Give the picture and the protocol; at the end also the film, and the weights unless `check` refuses these."""
        protocol = json.dumps(self._protocol, indent=2, sort_keys=True).encode()
        files = {self._picture: self._snapshots.best.picture, "protocol.json": protocol}
        if over:
            files["training.gif"] = self._film.picture()
            if self._find_collapse(self._epoch) is None:
                files[WEIGHTS] = self._snapshots.best.tensors
        return files

    def check(self, training: Training) -> None:
        """Refuse a collapsed snapshot, if the training has had its usual epochs, or has ended after enough updates.

        Raises:
            Collapsed: the message says why, and whether the training was short.
        """
        collapsed = self._find_collapse(training.epochs_done)
        if collapsed is None:
            return
        young = (
            f"; it may be too young to tell: {self._usual} epochs are usual" if training.epochs < self._usual else ""
        )
        raise Collapsed(f"{collapsed}, after {training.updates} updates in {training.epochs_done} epochs{young}")

    def _find_collapse(self, epochs_done: int) -> str | None:
        """Say why the snapshot counts as collapsed after so many epochs; None if it does not, or it is too young."""
        old = epochs_done >= self._usual or (self.ended and self._snapshots.mature)
        return self._snapshots.collapsed if old else None
