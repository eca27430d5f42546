"""Warm starts: trials that begin from the weights or the checkpoint of an earlier trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import assert_never

from nas.core.errors import UserError
from nas.core.evaluator import CHECKPOINT, WEIGHTS
from nas.core.genotype import Genotype
from nas.core.job import (
    PruneChannels,
    ScoreWithSupernet,
    Train,
    TrainFinalist,
    TrainPortion,
    TrainRung,
    TrainSupernet,
)
from nas.core.search import Search
from nas.core.space import SearchSpace, Traceable, Value
from nas.core.trial import Start, Trial
from nas.study.study import Study


def load_start(trial: Trial, ended: Sequence[Trial], study: Study, heirs: SearchSpace | None) -> Start | None:
    """Load what a trial begins from; None where it begins from nothing.

    Args:
        ended: the trials that have ended.
        heirs: the space, where children begin from their parents' weights.

    Raises:
        UserError: what it begins from is no longer there.
    """
    match trial.job:
        case Train():
            source, name = None, WEIGHTS
        case TrainPortion(continues=source) | TrainFinalist(continues=source) | TrainRung(continues=source):
            name = CHECKPOINT
        case TrainSupernet(plan):
            source, name = plan.continues, WEIGHTS
        case ScoreWithSupernet(supernet=source):
            name = WEIGHTS
        case PruneChannels():
            return _load_weights(trial.proposal.parents[0], trial, study)
        case _:
            assert_never(trial.job)
    if source is None:
        return (
            None
            if heirs is None or isinstance(trial.job, TrainFinalist)
            else load_parent(trial, ended, study.weights_path, heirs)
        )
    path = study.weights_path(source, name)
    try:
        tensors = path.read_bytes()
    except FileNotFoundError:
        why = f"trial {trial.number} begins from it"
        allowed = f"a run that has {path.name} among its {path.parent.name}"
        raise UserError("RUN", str(study.path), allowed, why=why) from None
    genotype = next(earlier.genotype for earlier in ended if earlier.number == source)
    return Start(source, genotype, tensors)


def _load_weights(number: int, trial: Trial, study: Study) -> Start | None:
    """Load the weights of a trial of the same genotype; None where they were not kept, which fails the new trial."""
    path = study.weights_path(number)
    return Start(number, trial.genotype, path.read_bytes()) if path.is_file() else None


def forget_checkpoints(search: Search, study: Study) -> None:
    """Remove the checkpoints that no trial can go on from any more.

    Those stay that a member of the population may still copy, which are of trials that came at least as far as the
    member that is furthest behind, and those that running trials began from, which may have to be run again.
    """
    reached: dict[int, int] = {}  # the last portion of each member that has ended
    ended = {trial.number: trial.job for trial in search.ended if isinstance(trial.job, TrainPortion)}
    running = [trial.job for trial in search.running if isinstance(trial.job, TrainPortion)]
    for portion in ended.values():
        reached[portion.member] = portion.number
    for portion in running:
        reached[portion.member] = portion.number - 1
    least = min(reached.values())
    needed = {number for number, portion in ended.items() if portion.number >= least and not portion.last}
    needed |= {portion.continues for portion in running if portion.continues is not None}
    for path in study.checkpoints():
        if int(path.stem) not in needed:
            path.unlink()


def load_parent(
    trial: Trial, ended: Sequence[Trial], weights_path: Callable[[int], Path], space: SearchSpace
) -> Start | None:
    """Load the weights of the parent whose network is most like the child's, among those scored with weights kept.

    Of parents that are equally alike the first is taken, which is the fitter one where the strategy knows. A child with
    the genotype of a parent begins from nothing, as the parent did: it is evaluated again to learn about the noise.
    """
    if isinstance(trial.job, TrainSupernet):
        return None
    numbers = trial.proposal.parents
    parents = [one for number in numbers for one in ended if one.number == number]
    if any(parent.genotype == trial.genotype for parent in parents):
        return None
    able = [p for p in parents if p.outcome is not None and p.outcome.scored and weights_path(p.number).is_file()]
    if not able:
        return None
    own = _list_network_decisions(trial.genotype, space)
    best = max(
        able, key=lambda parent: _count_shared(own, _list_network_decisions(parent.genotype, space))
    )  # the first of equals
    return Start(best.number, best.genotype, weights_path(best.number).read_bytes())


def _list_network_decisions(genotype: Genotype, space: SearchSpace) -> Mapping[str, Value]:
    """The decisions about the network, by site, and not those about its training."""
    if not isinstance(space, Traceable):
        return {site: value for site, value in genotype.content.items() if isinstance(value, (str, int, float))}
    decisions = space.trace(genotype)
    return {d.choice.site: d.value for d in decisions if d.choice.role != "hyperparameter"}


def _count_shared(one: Mapping[str, Value], other: Mapping[str, Value]) -> int:
    return len(one.items() & other.items())
