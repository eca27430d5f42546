"""Trials as Optuna keeps them, encoded in user attributes, and decoded."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, assert_never

from nas.core.genotype import Genotype
from nas.core.job import (
    Job,
    PruneChannels,
    ScoreWithSupernet,
    Train,
    TrainFinalist,
    TrainPortion,
    TrainRung,
    TrainSupernet,
)
from nas.core.supernet import SupernetPlan
from nas.core.trial import Measurement, Objective, Outcome, Proposal, Trial, curve_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

_END = 6  # the journal's operation that sets a trial's state, which `Study.record_tell` alone does


def encode_ask(trial: Trial, event: int) -> dict[str, Any]:
    """Encode a trial that begins; its ask is this event of the run."""
    proposal = trial.proposal
    return {
        "genotype": trial.genotype.text,
        "genotype_id": trial.genotype.id,
        "parents": list(proposal.parents),
        "origin": proposal.origin,
        "seed": trial.seed,
        "asked": event,
        **({"policy": proposal.policy} if proposal.policy else {}),
        **encode_job(proposal.job),
    }


def encode_job(job: Job) -> dict[str, Any]:
    """Encode a job for JSON, under a name for each kind; a plain training needs nothing."""
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
        case TrainRung():
            return {"rung": dataclasses.asdict(job)}
        case _:
            assert_never(job)


def decode_job(attributes: Mapping[str, Any]) -> Job:
    """Decode what `encode_job` has encoded; earlier versions wrote the same names, with null for what was not asked."""
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
    if (rung := attributes.get("rung")) is not None:
        return TrainRung(**rung)
    return Train()


def encode_tell(trial: Trial, event: int, taken: set[str]) -> dict[str, Any]:
    """Encode a trial that has ended; its tell is this event of the run.

    Args:
        taken: names of attributes that the trial has already, which metrics of the same names do not overwrite.
    """
    assert trial.outcome is not None
    attributes: dict[str, Any] = {"told": event, "outcome": trial.outcome.kind, "reason": trial.outcome.reason}
    if isinstance(trial.job, TrainSupernet):
        attributes["derived"] = [[genotype.text for genotype in m.derived] for m in trial.measurements]
    if trial.measurements and trial.measurements[0].timing_updates:
        attributes["timing_updates"] = trial.measurements[0].timing_updates
    own = {*attributes, "epochs", *taken}
    metrics = {name: value for name, value in trial.metrics.items() if name not in own}  # those are in `epochs` too
    return metrics | attributes | {"epochs": [{"epoch": m.epoch, **m.metrics} for m in trial.measurements]}


def decode_trial(frozen: FrozenTrial, objectives: tuple[Objective, ...]) -> Trial:
    """Decode a trial that is recorded, running or ended."""
    attributes = frozen.user_attrs
    proposal = Proposal(
        Genotype(attributes["genotype"]),
        tuple(attributes["parents"]),
        origin=attributes["origin"],
        job=decode_job(attributes),
        policy=attributes.get("policy", {}),
    )
    if not frozen.state.is_finished():
        reported = sorted(frozen.intermediate_values.items())
        running = tuple(Measurement(epoch, {objectives[0].name: value}) for epoch, value in reported)
        return Trial(frozen.number, proposal, attributes["seed"], running, curve=curve_of(running, objectives[0]))
    epochs = attributes["epochs"]
    derived = attributes.get("derived", [()] * len(epochs))
    timing = [attributes.get("timing_updates", 0), *[0] * len(epochs)]
    measurements = tuple(
        Measurement(
            int(epoch["epoch"]),
            {name: value for name, value in epoch.items() if name != "epoch"},
            derived=tuple(map(Genotype, texts)),
            timing_updates=updates,
        )
        for epoch, texts, updates in zip(epochs, derived, timing[: len(epochs)], strict=True)
    )
    outcome = Outcome(attributes["outcome"], attributes["reason"])
    if outcome.scored:
        losses = tuple(o.loss(measurements[-1].metrics[o.name]) for o in objectives)
    else:
        losses = tuple(float("inf") for _ in objectives)
    curve = curve_of(measurements, objectives[0])
    return Trial(frozen.number, proposal, attributes["seed"], measurements, outcome, losses, curve)


def has_ended_trial(lines: bytes) -> bool:
    """Whether a trial has ended according to these lines of a journal, of which the last may be cut off."""
    for line in lines.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("op_code") == _END:
            return True
    return False
