"""The model card of a run's trial."""

from __future__ import annotations

import importlib.metadata
import math
from typing import TYPE_CHECKING

from nas.core.job import PruneChannels
from nas.export.card import Card
from nas.study.pruned_versions import format_percent

if TYPE_CHECKING:
    from nas.study.run import Candidate


def make_card(candidate: Candidate) -> Card:
    """Make the model card of a trial."""
    run, trial = candidate.run, candidate.trial
    data, space, evaluator = run.parts.data, run.parts.space, run.parts.evaluator
    best, whole = run.candidate(None).number == trial.number, candidate.unpruned.trial
    return Card(
        title=f"{run.config.space} for {run.data_name}",
        description=candidate.description,
        genotype=trial.genotype,
        shape=data.shape,
        kind=data.domains[0].kind,
        dataset=run.data_name,
        parts=f"{data.counts}; {math.prod(data.shape)} values each",
        notes=data.notes,
        objectives=tuple(objective.name for objective in run.objectives),
        pruned=_describe_pruning(candidate),
        on_front=any(one.number == trial.number for one in run.front()),
        metrics=trial.metrics,
        test=(run.tested if best else {}) or candidate.test(),
        hyperparameters={**space.hyperparameters(trial.genotype), **evaluator.changed_hyperparameters(whole)},
        epochs=whole.measurements[-1].epoch,
        seed=trial.seed,
        strategy=run.config.strategy,
        run=run.path.name,
        trial=trial.number,
        protocol=evaluator.protocol("test"),
        versions={name: importlib.metadata.version(name) for name in ("torch", "nas-generative")},
    )


def _describe_pruning(candidate: Candidate) -> str:
    """What was removed from which trial; nothing of a trial that is no pruned version."""
    job, whole = candidate.trial.job, candidate.unpruned
    if not isinstance(job, PruneChannels):
        return ""
    costs = [
        f"{candidate.metrics[name]:,.0f} of {whole.metrics[name]:,.0f} {text}"
        for name, text in (("parameters", "parameters"), ("multiply_adds", "multiply-adds"))
        if name in candidate.metrics and name in whole.metrics
    ]
    versions, trials = [candidate.trial], candidate.run.trials
    while isinstance((parent := trials[versions[-1].proposal.parents[0]]).job, PruneChannels):
        versions.append(parent)
    epochs = sum(len(version.measurements) for version in versions)
    trained = f"then trained for {epochs} epoch{'s' if epochs > 1 else ''} more"
    return f"Pruned by {format_percent(job.ratio)} from trial {whole.number}: {', '.join(costs)}; {trained}"
