"""Metrics: what is measured of a candidate, and which of them a search may be asked to optimise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nas.core.trial import Direction, Objective


@dataclass(frozen=True)
class Metric:
    """One number that is measured of a candidate.

    Attributes:
        direction: which way is better; None where neither is, as its target is a value: the best density is 1.
        unit: what it is counted in: ``dB``, ``nats``; empty for a plain number.
        caveat: why it is no objective although one way is better; empty where it is one.
    """

    name: str
    direction: Direction | None
    unit: str = ""
    caveat: str = ""

    @property
    def objective(self) -> Objective | None:
        """The objective that the metric makes; None where it makes none."""
        return None if self.direction is None or self.caveat else Objective(self.name, self.direction)


def format_value(value: float) -> str:
    """Format a metric's value in five figures, or whole with separators where it is a large whole number."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1000 else f"{value:.5g}"


def metrics_by_name(*metrics: Metric) -> dict[str, Metric]:
    """The metrics under their names, in their order."""
    return {metric.name: metric for metric in metrics}


COST = metrics_by_name(
    Metric("parameters", "minimize"),
    Metric("multiply_adds", "minimize", "an example"),
    Metric("seconds", "minimize", "s"),
    Metric("peak_memory_mb", "minimize", "MB"),
)
"""What every training measures besides its quality: the model's size, and what the trial has cost so far."""

LATENCY = metrics_by_name(Metric("latency_ms", "minimize", "ms"))
"""How long a model takes for an example, which is measured where it is an objective."""

OF_THE_MACHINE = ("seconds", "peak_memory_mb", "latency_ms", "unpruned_latency_ms")
"""Metrics that are never quite the same again: of time, and of the memory of the process."""
_UNITS_OF_THE_MACHINE = ("s", "ms", "MB")


def is_of_the_machine(name: str, known: Mapping[str, Metric]) -> bool:
    """Whether a metric is of time or memory, by its name, or by its unit where it is known."""
    return name in OF_THE_MACHINE or (name in known and known[name].unit in _UNITS_OF_THE_MACHINE)


LENGTH = metrics_by_name(
    Metric("examples", None),
    Metric("kept_epoch", "minimize", caveat="says when the best weights were found and not how good they are"),
)
"""How many examples a training has shown, if that was planned by time, and which epoch is kept, if not the last."""

OVERFITTING = Metric("overfitting", "minimize", caveat="a network that has learnt nothing has none")
"""How much worse a finalist's objective is on validation examples than on as many of the training part, as a share of
the latter, without augmentation."""
