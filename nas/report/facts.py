"""A run read once: what all sections of its page are made of."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nas import registry
from nas.core.genotype import Genotype
from nas.core.job import PruneChannels, TrainFinalist, TrainPortion, TrainRung
from nas.core.space import Traceable, Value
from nas.report.words import format_metric, name_metric
from nas.study.pruned_versions import format_percent

if TYPE_CHECKING:
    from nas.core.trial import Objective, Trial
    from nas.study.run import Run


class Facts:
    """A run and its trials, as they were when it was read.

    Attributes:
        ranked: the trials with a score, the best first.
        best: None where none has succeeded.
        front: the numbers of the trials on the front; of one objective that of the best alone.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.trials = run, run.trials
        self.objectives: Sequence[Objective] = run.objectives
        self.objective = self.objectives[0]
        self.space, self.shape = run.space, run.shape
        self.ranked = run.ranked()
        self.best: Trial | None = run.best.trial if self.ranked else None
        self.front: tuple[int, ...] = tuple(trial.number for trial in run.front())
        self.by_number: Mapping[int, Trial] = {trial.number: trial for trial in self.trials}

    @functools.cached_property
    def units(self) -> Mapping[str, str]:
        """What metrics of quality are counted in, as far as the kind of model says so without its data."""
        if self.run.loaded is not None:
            metrics: Any = self.run.loaded.evaluator.metrics
        else:
            name = self.run.config.evaluator or self.space.task
            metrics = getattr(registry.load("evaluator", name), "quality", {}) if name and ":" not in name else {}
        return {name: metric.unit for name, metric in metrics.items()} if isinstance(metrics, Mapping) else {}

    def name_axis(self, name: str) -> str:
        """Name a metric with its unit, for an axis."""
        unit = self.units.get(name)
        return f"{name_metric(name)}, {unit}" if unit else name_metric(name)

    def describe(self, trial: Trial) -> str:
        """Say in one line what a trial's architecture is; see nas.study.run.Candidate.description."""
        text = self.space.describe(trial.genotype, self.shape)
        return f"{text}; pruned by {format_percent(trial.job.ratio)}" if isinstance(trial.job, PruneChannels) else text

    def format(self, trial: Trial, name: str) -> str:
        """Format one of a trial's metrics; empty where it was not measured."""
        return format_metric(name, trial.metrics[name], self.units.get(name, "")) if name in trial.metrics else ""

    def say_result(self, trial: Trial) -> str:
        """Say how a trial ended, in a line for a mark of a chart."""
        assert trial.outcome is not None
        if trial.outcome.scored:
            values = [f"{name_metric(o.name)} {self.format(trial, o.name)}" for o in self.objectives]
            ending = {"stopped": ", stopped early", "shared": ", with a supernet's weights"}.get(trial.outcome.kind, "")
            return f"trial {trial.number}: {', '.join(values)}{ending}"
        reason = f": {trial.outcome.reason}" if trial.outcome.reason else ""
        return f"trial {trial.number} {trial.outcome.kind.replace('_', ' ')}{reason}"[:240]

    def kind_of(self, trial: Trial) -> str:
        """The kind of mark that stands for a trial."""
        assert trial.outcome is not None
        if self.best is not None and trial.number == self.best.number:
            return "best"
        if trial.outcome.failed:
            return "failed"
        if trial.provisional:
            return "stopped"
        return "final" if isinstance(trial.job, TrainFinalist) else "trial"

    @functools.cached_property
    def decisions(self) -> Mapping[int, Mapping[str, Value]]:
        """What every trial's genotype has decided, by the trial's number; of some spaces nothing is known."""
        space = self.space
        if not isinstance(space, Traceable):
            return {}
        known: dict[Genotype, Mapping[str, Value]] = {}
        for trial in self.trials:
            if trial.genotype not in known:
                known[trial.genotype] = {d.choice.site: d.value for d in space.trace(trial.genotype)}
        return {trial.number: known[trial.genotype] for trial in self.trials}

    def find_picture(self, number: int) -> str:
        """A trial's picture as a URL that holds it; empty where it has none."""
        picture = self.run.study.picture(number)
        return encode_png(picture) if picture is not None else ""

    def count_seconds(self, trial: Trial) -> float | None:
        """How many seconds of training a trial has added: those that are measured are of all that it goes on with."""
        seconds = trial.metrics.get("seconds")
        if seconds is None:
            return None
        source = trial.job.continues if isinstance(trial.job, (TrainFinalist, TrainRung, TrainPortion)) else None
        before = 0.0 if source is None else self.by_number[source].metrics.get("seconds", 0.0)
        return max(0.0, seconds - before)


def encode_png(picture: bytes) -> str:
    """A PNG as a URL that holds it."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()
