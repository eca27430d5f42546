"""Whose weights a trial begins with, and what is said of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nas.core.errors import UserError
from nas.core.evaluator import Evaluator, Inherits
from nas.core.genotype import Genotype
from nas.core.space import SearchSpace, Traceable, Value
from nas.core.strategy import Descends, Strategy
from nas.core.trial import Start, Trial


def check_inheritance(strategy: Strategy, strategy_name: str, evaluator: Evaluator, keep_weights: int | None) -> None:
    """Refuse to let children begin from their parents where there are no parents, or no weights of theirs.

    Raises:
        UserError: naming the option that does not fit.
    """
    if not isinstance(strategy, Descends):
        allowed = "strategies whose proposals have parents: evolution, hierarchical, local, neat, deap-nsga2, predictor"
        raise UserError("--strategy", strategy_name, allowed, why="--weight-sharing inherit needs parents")
    if not isinstance(evaluator, Inherits):
        allowed = "evaluators that can begin from weights: autoencoder, gan, cyclegan"
        raise UserError("--evaluator", type(evaluator).__name__, allowed, why="--weight-sharing inherit needs one")
    if keep_weights is not None:
        why = "--weight-sharing inherit begins from the weights of any trial so far"
        raise UserError("--keep-weights", keep_weights, "nothing: all weights are kept", why=why)


def heritage_of(
    trial: Trial, ended: Sequence[Trial], weights_path: Callable[[int], Path], space: SearchSpace
) -> Start | None:
    """What a child begins from: the parent whose network is most like its own, if it was scored and left weights.

    Of parents that are equally alike it is the first, the fitter where there is one. What repeats a parent's genotype
    begins from nothing, as that did: it is evaluated again to learn about the noise.
    """
    if trial.proposal.supernet is not None:
        return None
    numbers = trial.proposal.parents
    parents = [one for number in numbers for one in ended if one.number == number]
    if any(parent.genotype == trial.genotype for parent in parents):
        return None
    able = [p for p in parents if p.outcome is not None and p.outcome.scored and weights_path(p.number).is_file()]
    if not able:
        return None
    own = _network(trial.genotype, space)
    best = max(able, key=lambda parent: _shared(own, _network(parent.genotype, space)))  # the first of equals
    return Start(best.number, best.genotype, weights_path(best.number).read_bytes())


def _network(genotype: Genotype, space: SearchSpace) -> Mapping[str, Value]:
    """The decisions about the network, by site, and not those about its training."""
    if not isinstance(space, Traceable):
        return {site: value for site, value in genotype.content.items() if isinstance(value, (str, int, float))}
    decisions = space.trace(genotype)
    return {d.choice.site: d.value for d in decisions if d.choice.role != "hyperparameter"}


def _shared(one: Mapping[str, Value], other: Mapping[str, Value]) -> int:
    return len(one.items() & other.items())


def inheritance_of(trial: Trial, sharing: str) -> str:
    """What a trial of a run has inherited, in words; empty where there is nothing to say."""
    metrics = trial.measurements[0].metrics if trial.measurements else {}
    if "inherited" in metrics:
        return f"{metrics['inherited']:.0%} of the parameters from trial {metrics['inherited_from']:.0f}"
    if sharing == "inherit" and trial.proposal.parents and trial.measurements:
        parents = " or ".join(map(str, trial.proposal.parents))
        return f"nothing: trial {parents} has no weights to begin from, or is the same"
    return ""
