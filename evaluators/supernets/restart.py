"""When a supernet of pairs has collapsed and shall begin anew (Gong et al. 2019, AutoGAN)."""

from __future__ import annotations

import torch
from torch import Tensor

from evaluators.adversarial.collapse import deviation_collapse

LEAST_VARIANCE = 1e-3
"""Of a loss over the window: under it, nobody wins or learns any more."""
_WINDOW, _LEAST_WINDOW = 500, 50
_ALIKE = 2  # epochs in a row whose samples are all alike: one alone may be an oscillation


class Watch:
    """Looks at one beginning of a supernet's training.

    It has collapsed when a loss, the generator's or the discriminator's, varies by less than 1e-3 over 500 updates, or
    a quarter of the training where that is shorter, but 50 at least; or when after two epochs in a row, later than the
    first third and the first 500 updates, the supernet's samples are all alike (see evaluators.adversarial.collapse):
    those of a young one always are. Wasserstein losses have no scale of their own and are not looked at.

    Args:
        loss: the base's, by name.
        epochs: of the whole training.
        updates: of the generator in an epoch.
        deviation: the data's; see evaluators.adversarial.collapse.
    """

    def __init__(self, loss: str, epochs: int, updates: int, deviation: float) -> None:
        self._scaled = not loss.startswith("wasserstein")
        self._window = max(_LEAST_WINDOW, min(_WINDOW, epochs * updates // 4))
        self._losses = torch.zeros(0, 2, dtype=torch.double)  # the last ones
        self._young = max(epochs * updates / 3, _WINDOW)
        self._updates, self._deviation = updates, deviation
        self._seen = self._alike = 0

    def collapsed(self, losses: Tensor, deviation: float) -> str | None:
        """After an epoch, why the training shall begin anew, in words; None where it shall go on.

        Args:
            losses: of every update of the epoch, (updates, 2): the discriminator's and the generator's.
            deviation: of the supernet's samples after it; see evaluators.metrics.samples.sample_deviation.
        """
        self._seen += self._updates
        same = deviation_collapse({"sample_deviation": deviation}, self._deviation)
        self._alike = self._alike + 1 if same is not None and self._seen > self._young else 0
        return self._still(losses) or (same if self._alike == _ALIKE else None)

    def _still(self, losses: Tensor) -> str | None:
        """Whether a loss has stayed where it is in a window that ends in this epoch."""
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
