"""Candidates that break a limit of what they may cost are not trained."""

from __future__ import annotations

from collections.abc import Callable

from nas.config import RunConfig
from nas.core.cost_limits import COSTS, parse_limit
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.job import TrainSupernet
from nas.core.metric import format_value
from nas.core.trial import Trial


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
    names = frozenset(COSTS[name][0] for name in given)

    def refuse(trial: Trial) -> str | None:
        if isinstance(trial.job, TrainSupernet):
            return None
        try:
            found = evaluator.measure_cost(trial.genotype, names)
        except Exception:  # noqa: BLE001 - its evaluation fails in the same way, and records the reason
            return None
        for name, limit in given.items():
            cost, words = COSTS[name]
            if found[cost] > limit:
                option = f"--{name.replace('_', '-')}"
                return f"has {format_value(found[cost])} {words}, more than {option} {getattr(config, name)}"
        return None

    return refuse
