"""Detects that the training of a supernet of pairs has collapsed and must begin anew (Gong et al. 2019, AutoGAN)."""

from __future__ import annotations

import torch
from torch import Tensor

from evaluators.adversarial.collapse import find_deviation_collapse
from evaluators.adversarial.losses import ADVERSARIAL_LOSSES

LEAST_VARIANCE = 1e-3
"""The least variance of a loss over the window: with less, neither side learns any more."""
_WINDOW, _LEAST_WINDOW = 500, 50
_ALIKE = 2  # epochs in a row whose samples are all alike make a collapse; a single one may be an oscillation


class CollapseDetector:
    """Watches a supernet's training for a collapse, from its beginning or from where it began anew.

    The training has collapsed if the variance of the generator's or of the discriminator's loss is under 1e-3 over 500
    updates, or over a quarter of the training if that is shorter, but over 50 at least. Wasserstein losses have no
    scale of their own, so their variance is not looked at.

    It has collapsed as well if the supernet's samples are all alike (see evaluators.adversarial.collapse) after two
    epochs in a row. Those epochs must come after the first third of the training and after the first 500 updates,
    because a young supernet's samples are always alike.

    Args:
        loss: the name of the base's loss, a key of evaluators.adversarial.losses.ADVERSARIAL_LOSSES.
        epochs: of the whole training.
        updates: of the generator in an epoch.
        deviation: of the data; see evaluators.adversarial.collapse.
    """

    def __init__(self, loss: str, epochs: int, updates: int, deviation: float) -> None:
        self._scaled = not ADVERSARIAL_LOSSES[loss].wasserstein
        self._window = max(_LEAST_WINDOW, min(_WINDOW, epochs * updates // 4))
        self._losses = torch.zeros(0, 2, dtype=torch.double)  # the last ones
        self._young = max(epochs * updates / 3, _WINDOW)
        self._updates, self._deviation = updates, deviation
        self._seen = self._alike = 0

    def find_collapse(self, losses: Tensor, deviation: float) -> str | None:
        """Say after an epoch why the training must begin anew; None if it can go on.

        Args:
            losses: (updates, 2), the discriminator's and the generator's in every update of the epoch.
            deviation: that of the supernet's samples after the epoch; see
                evaluators.metrics.samples.sample_deviation.
        """
        self._seen += self._updates
        same = find_deviation_collapse({"sample_deviation": deviation}, self._deviation)
        self._alike = self._alike + 1 if same is not None and self._seen > self._young else 0
        return self._find_standstill(losses) or (same if self._alike == _ALIKE else None)

    def _find_standstill(self, losses: Tensor) -> str | None:
        """Say which loss has hardly varied over a window that ends in this epoch; None if neither has."""
        known = torch.cat([self._losses, losses.detach().cpu().double()])
        self._losses = known[1 - self._window :]
        if not self._scaled or len(known) < self._window:
            return None
        least = known.unfold(0, self._window, 1).var(2, correction=0).amin(0)
        for name, variance in zip(("discriminator", "generator"), least.tolist(), strict=True):
            if variance < LEAST_VARIANCE:
                return (
                    f"the {name}'s loss has a variance of {variance:.2g}, under {LEAST_VARIANCE:g}, "
                    f"over {self._window} updates"
                )
        return None
