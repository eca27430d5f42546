"""Candidates that break a limit of what they may cost are not trained."""

from __future__ import annotations

from collections.abc import Callable

from nas.config import RunConfig
from nas.core.cost_limits import COSTS, parse_limit
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.genotype import Genotype
from nas.core.job import TrainSupernet
from nas.core.metric import LATENCY, format_value
from nas.core.space import generator_for, sample
from nas.core.trial import Trial
from nas.strategies.usual_first import find_usual
from nas.study.run import Run


def calibrate_latency(run: Run) -> None:
    """Where latencies are limited or an objective, measure them in turns with what the run has begun with, and note it.

    That is the usual genotype's model, or where nothing is usual the one that the seed draws.
    """
    config, study, space = run.config, run.study, run.parts.space
    if config.max_latency is None and all(name not in LATENCY for name in config.objective):
        return
    noted = study.notes.get("latency_reference")
    if noted is not None:
        run.parts.evaluator.calibrate_latency(Genotype(noted["genotype"]), noted["ms"])
        return
    reference = find_usual(space, config.seed) or sample(space, generator_for(config.seed, 0))
    found = run.parts.evaluator.calibrate_latency(reference)
    if found is not None:
        study.note("latency_reference", {"genotype": reference.text, "ms": found, "device": run.parts.device})


def make_refusal(config: RunConfig, evaluator: Evaluator) -> Callable[[Trial], str | None]:
    """Make what says why a candidate breaks a limit of the configuration; it says None of one that keeps all.

    A supernet is no candidate. One whose model cannot even be built is left to its evaluation, which records why.

    Raises:
        UserError: there is a limit, and the evaluator cannot measure what a model costs before it is trained.
    """
    given = {name: parse_limit(name, value) for name in COSTS if (value := getattr(config, name)) is not None}
    if not given:
        return lambda trial: None
    if not evaluator.measures_cost:
        option = f"--{next(iter(given)).replace('_', '-')}"
        allowed = "evaluators that measure what a model costs before it is trained: those of our spaces"
        raise UserError(option, getattr(config, next(iter(given))), allowed, why=f"{type(evaluator).__name__} does not")

    def refuse(trial: Trial) -> str | None:
        if isinstance(trial.job, TrainSupernet):
            return None
        for name, limit in given.items():  # what is measured soonest comes first
            cost, words = COSTS[name]
            try:
                found = evaluator.measure_cost(trial.genotype, frozenset({cost}))[cost]
            except Exception:  # noqa: BLE001 - its evaluation fails in the same way, and records the reason
                return None
            if found > limit:
                option = f"--{name.replace('_', '-')}"
                return f"has {format_value(found)} {words}, more than {option} {getattr(config, name)}"
        return None

    return refuse
