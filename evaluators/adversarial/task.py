"""What the tasks of GANs and CycleGANs share: samples are scored by features, and the best snapshot is kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from evaluators.adversarial.selection import KeepBest
from evaluators.adversarial.snapshots import Snapshots
from evaluators.task import Task
from evaluators.training.selection import Selection
from nas.core.metric import LENGTH, Metric, metrics_by_name
from nas.core.space import SearchSpace

DEVIATION = Metric("sample_deviation", "maximize", caveat="pure noise deviates most")
REAL = Metric("real_fid", "minimize", caveat="is of images of the data, and the same for all candidates")
EPOCHS = metrics_by_name(
    Metric("epoch_fid", "minimize", caveat="is of the last epoch, not of the weights that are kept, whose fid is"),
    LENGTH["kept_epoch"],
)
"""The metrics of evaluators.adversarial.selection.KeepBest."""


class AdversarialTask(Task):
    """Trains generators against discriminators, and keeps the snapshot with the least FID.

    FID jumps while a GAN trains. So the metrics of every epoch are those of the best snapshot so far, and the last
    measurement brings its weights. A subclass lists EPOCHS among its metrics.

    Args:
        features: which extractor describes samples: see evaluators.features.extractor.load_extractor.

    Raises:
        UserError: Inception's weights are asked for and cannot be had.
    """

    scores_parts = finds_overfitting = False
    unsettled = 0.5  # after a third of a search's trainings the best GAN was 1st to 18th of 22 (docs/benchmarks.md)
    pruned_rate = 0.5  # the discriminator, which is not pruned, is ahead of the generator then
    extracts_features = True

    def __init__(self, space: SearchSpace, data: Any, device: str = "cpu", *, features: str = "auto") -> None:
        super().__init__(space, data, device)
        self._features = features
        if features == "inception":  # a download that fails is reported here, before a run begins
            self.load_extractors()

    @abstractmethod
    def load_extractors(self) -> None:
        """Load the feature extractors, or train them."""

    @abstractmethod
    def begin_snapshots(self, epochs: int, *, to_the_end: bool) -> Snapshots:
        """Give the snapshots of a new training, of which none has been taken."""

    def changed_for_finals(self, hyperparameters: Mapping[str, Any]) -> dict[str, str | int | float]:
        """A constant rate where it would fall; the generator is averaged anyway."""
        return {} if hyperparameters["schedule"] == "constant" else {"schedule": "constant"}

    def identity(self) -> Mapping[str, str | int | float]:
        """Give the protocol, because the snapshot that is kept depends on it."""
        return self.protocol("validation")

    def selection(self, epochs: int, *, to_the_end: bool, frames: int | None, keeps: str | None = None) -> Selection:
        """Keep the snapshot with the least FID."""
        return KeepBest(
            self.begin_snapshots(epochs, to_the_end=to_the_end),
            picture=self.picture,
            protocol=self.protocol("validation"),
            usual=self.usual_epochs(self.data, self.epoch_size),
            frames=frames,
        )
