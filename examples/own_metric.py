"""A metric of one's own: the largest error of a pixel, beside the mean squared error.

python examples/own_metric.py
nas search --evaluator examples.own_metric:WorstPixelTask --objective worst_pixel --trials 10
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import nn

import nas
from evaluators.autoencoder.task import AutoencoderTask
from evaluators.training.selection import Scores
from nas.core.metric import Metric, metrics_by_name
from nas.data.dataset import as_float, batches


class WorstPixelTask(AutoencoderTask):
    """Trains as its parent does, and measures one number more."""

    name = "autoencoder-worst-pixel"  # checkpoints of other tasks are not taken for its own
    quality: ClassVar = {**AutoencoderTask.quality, **metrics_by_name(Metric("worst_pixel", "minimize"))}

    def score(self, model: Any, evaluated: nn.Module, *args: Any, part: Any = "validation", **more: Any) -> Scores:
        """The parent's metrics, and the mean over images of the largest absolute error of a value."""
        found = super().score(model, evaluated, *args, part=part, **more)
        images = self._part(part).examples
        with torch.no_grad():
            errors = [(evaluated(as_float(images[rows])) - as_float(images[rows])).abs() for rows in batches(images)]
        worst = torch.cat(errors).flatten(1).amax(dim=1).mean().item()
        return Scores({**found.metrics, "worst_pixel": worst}, found.rows)


if __name__ == "__main__":
    run = nas.search(evaluator=WorstPixelTask, objective=["worst_pixel"], trials=6, epochs=2, pin={"latent": 16})
    print(run.best.description, run.tested["worst_pixel"])
