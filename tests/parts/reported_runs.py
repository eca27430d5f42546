"""Runs of toys that are quickly made, with all that a report shows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from PIL import Image

import nas
from nas.core.errors import Diverged
from nas.core.metric import COST, Metric, metrics_by_name
from nas.core.trial import Measurement
from nas.testing.toys import ToyEvaluator, ToySpace, toy_loss
from tests.conftest import tiny_data

HOSTILE = "<img src=x onerror=alert(1)> & \"quoted\" 'text'"


def draw_picture(side: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (side, side), 128).save(buffer, "PNG")
    return buffer.getvalue()


class Told(ToyEvaluator):
    """Toys with costs and pictures; every seventh fails, saying something hostile."""

    metrics = metrics_by_name(Metric("loss", "minimize", "nats")) | COST
    picture = draw_picture()

    def __init__(self, space: Any, data: Any, *, epochs: int, device: str) -> None:
        super().__init__(space, epochs=epochs)

    def evaluate(self, trial: Any) -> Any:
        loss = toy_loss(trial.genotype)
        for epoch in range(1, self.epochs + 1):
            metrics = {"loss": loss + 1 / epoch, "seconds": 2.0 * epoch, "parameters": 1000.0 + 100 * trial.number}
            yield Measurement(epoch, metrics, {"picture.png": self.picture})
            if trial.number % 7 == 6:
                raise Diverged(HOSTILE)


def search_toys(folder: Path, name: str = "toys", **options: Any) -> nas.Run:
    """A search of toys, without a report unless it is asked for."""
    given = {"trials": 30, "epochs": 2, "early_stopping": "none", "finalists": 0} | options
    return nas.search(data=tiny_data(), space=ToySpace(), evaluator=Told, runs_dir=folder, name=name, **given)
