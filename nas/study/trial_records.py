"""A trial as the study keeps it: Optuna's trial, with what is ours as its user attributes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, assert_never

from nas.core.genotype import Genotype
from nas.core.job import Job, PruneChannels, ScoreWithSupernet, Train, TrainFinalist, TrainPortion, TrainSupernet
from nas.core.supernet import SupernetPlan
from nas.core.trial import Measurement, Objective, Outcome, Proposal, Trial, curve_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_END = 6  # the journal's operation that sets a trial's state, which `Study.told` alone does


def when_asked(trial: Trial, event: int) -> dict[str, Any]:
    """The attributes of a trial that begins, the ask being this event of the run."""
    proposal = trial.proposal
    return {
        "genotype": trial.genotype.text,
        "genotype_id": trial.genotype.id,
        "parents": list(proposal.parents),
        "origin": proposal.origin,
        "seed": trial.seed,
        "asked": event,
        **attributes_of_job(proposal.job),
    }


def attributes_of_job(job: Job) -> dict[str, Any]:
    """A job as JSON has it, under a name for each kind; nothing for the usual one."""
    match job:
        case Train():
            return {}
        case TrainPortion():
            return {"portion": dataclasses.asdict(job)}
        case TrainSupernet(plan):
            return {"supernet": dataclasses.asdict(plan)}
        case ScoreWithSupernet(supernet):
            return {"shares": supernet}
        case PruneChannels(ratio):
            return {"prune": ratio}
        case TrainFinalist():
            return {"final": dataclasses.asdict(job)}
        case _:
            assert_never(job)


def job_of_attributes(attributes: Mapping[str, Any]) -> Job:
    """The inverse of `attributes_of_job`; earlier versions wrote the same names, with null for what was not asked."""
    if (portion := attributes.get("portion")) is not None:
        return TrainPortion(**portion)
    if (plan := attributes.get("supernet")) is not None:
        return TrainSupernet(SupernetPlan.of(plan))
    if (supernet := attributes.get("shares")) is not None:
        return ScoreWithSupernet(supernet)
    if (ratio := attributes.get("prune")) is not None:
        return PruneChannels(ratio)
    if (final := attributes.get("final")) is not None:
        return TrainFinalist(**final)
    return Train()


def when_told(trial: Trial, event: int, taken: set[str]) -> dict[str, Any]:
    """The attributes of a trial that has ended, the tell being this event of the run.

    Args:
        taken: the names of those it has already, which metrics of these names do not overwrite.
    """
    assert trial.outcome is not None
    attributes: dict[str, Any] = {"told": event, "outcome": trial.outcome.kind, "reason": trial.outcome.reason}
    if isinstance(trial.job, TrainSupernet):
        attributes["derived"] = [[genotype.text for genotype in m.derived] for m in trial.measurements]
    own = {*attributes, "epochs", *taken}
    metrics = {name: value for name, value in trial.metrics.items() if name not in own}  # those are in `epochs` too
    return metrics | attributes | {"epochs": [{"epoch": m.epoch, **m.metrics} for m in trial.measurements]}


def trial_of(frozen: FrozenTrial, objectives: tuple[Objective, ...]) -> Trial:
    """The trial that is recorded, running or ended."""
    attributes = frozen.user_attrs
    proposal = Proposal(
        Genotype(attributes["genotype"]),
        tuple(attributes["parents"]),
        origin=attributes["origin"],
        job=job_of_attributes(attributes),
    )
    if not frozen.state.is_finished():
        reported = sorted(frozen.intermediate_values.items())
        running = tuple(Measurement(epoch, {objectives[0].name: value}) for epoch, value in reported)
        return Trial(frozen.number, proposal, attributes["seed"], running, curve=curve_of(running, objectives[0]))
    epochs = attributes["epochs"]
    derived = attributes.get("derived", [()] * len(epochs))
    measurements = tuple(
        Measurement(
            int(epoch["epoch"]),
            {name: value for name, value in epoch.items() if name != "epoch"},
            derived=tuple(map(Genotype, texts)),
        )
        for epoch, texts in zip(epochs, derived, strict=True)
    )
    outcome = Outcome(attributes["outcome"], attributes["reason"])
    if outcome.scored:
        losses = tuple(o.loss(measurements[-1].metrics[o.name]) for o in objectives)
    else:
        losses = tuple(float("inf") for _ in objectives)
    curve = curve_of(measurements, objectives[0])
    return Trial(frozen.number, proposal, attributes["seed"], measurements, outcome, losses, curve)


def tells_an_end(lines: bytes) -> bool:
    """Whether lines of a journal, the last perhaps a half, tell that a trial has ended."""
    for line in lines.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("op_code") == _END:
            return True
    return False
