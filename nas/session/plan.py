"""How long each candidate is trained, and how many there will be: by a time limit, or by epochs."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from nas.config import RunConfig
from nas.core.durations import format_duration, parse_duration
from nas.core.errors import UserError
from nas.core.evaluator import DEFAULT_EPOCHS, Assumption, Capabilities, Pace
from nas.core.strategy import Strategy

FINAL_SHARE, LIMITED_FINAL_SHARE = 0.5, 0.7
"""The share of the time that is the finals': of a time limit most, as a winner that was trained little is no good.

Of a limit in which candidates have a time it is more where there is little of it; see `plan_time`.
"""
RESERVE, RESERVED = 10.0, 0.02
"""Seconds of a time limit that are left for testing and exporting the winner; or this share, where that is more."""
SLOT_EPOCHS = 3
"""Of a candidate that is given a time."""
UNSCHEDULED = Assumption(
    "schedule", ("one_cycle",), "without effect, as candidates that have a time train at a constant rate"
)
"""Of candidates that are given a time."""
PROMOTED = 3
"""How many times as long what is promoted to the last rung is trained as candidates otherwise are."""
RULE = "incumbent"
"""The rule of early stopping where candidates have a time, unless the user names another."""
_LEAST_EXPLORED, _MOST_EXPLORED = 0.08, 1 - LIMITED_FINAL_SHARE
_MOST_EXPLORED_FROM = 60_000  # updates of the usual genotype in the whole time
_RANKING_UPDATES = 160  # of the usual genotype: after 40 ranks are as good as random
_FULL_TIMES = 1.3  # how many candidates could have all of their time, times the root of how many could be ranked at all
_USED = 0.45  # the share of its time that a candidate has on average, as most are stopped early
_LEAST_UPDATES = 8  # with fewer nothing is learnt at all
_SCORING = 0.1  # the share of a candidate's time in which it is scored
_LEAST_SCORED = 500


def find_exploring_seconds(config: RunConfig) -> float | None:
    """Return how many seconds of the time limit candidates have, before the finals; None without a limit."""
    if config.time_limit is None:
        return None
    limit = parse_duration(config.time_limit)
    return max(0.1, find_training_seconds(limit) * (1 - find_final_share(config))) if config.finalists else limit


def find_training_seconds(limit: float) -> float:
    """Return how many seconds of a time limit candidates and finals have."""
    return limit - max(RESERVE, RESERVED * limit)


def find_final_share(config: RunConfig) -> float:
    """Return the share of the time that is the finals': that which was asked for, else what is usual."""
    usual = FINAL_SHARE if config.time_limit is None else LIMITED_FINAL_SHARE
    return usual if config.final_share is None else config.final_share


def plan_time(config: RunConfig, pace: Pace, final_share: float | None = None) -> RunConfig:
    """Return the configuration with ``final_share``, ``candidate_time`` and ``scored_examples``.

    The fewer updates there is time for, the more of it is the finals': a network that is still learning fast loses by a
    pause what only a much better one could make good. The time of exploring is shared among as many candidates as are
    asked for, or as can be told from each other. Most are stopped early, by what the best had reached after as long.

    Args:
        pace: of the usual genotype.
        final_share: the share of the finals that was asked for; None where the user has said nothing.

    Raises:
        UserError: not even one candidate would learn anything.
    """
    assert config.time_limit is not None
    update = pace.trained * pace.batch
    if final_share is None:
        updates = find_training_seconds(parse_duration(config.time_limit)) / update
        explored = min(_MOST_EXPLORED, max(_LEAST_EXPLORED, _MOST_EXPLORED * updates / _MOST_EXPLORED_FROM))
        config = config.model_copy(update={"final_share": round(1 - explored, 3)})
    exploring = find_exploring_seconds(config)
    assert exploring is not None
    if exploring < _LEAST_UPDATES * update:
        needed = RESERVE + _LEAST_UPDATES * update / (1 - find_final_share(config))
        least = f"{_LEAST_UPDATES} updates of the usual genotype take {_LEAST_UPDATES * update:.1f} s here"
        why = f"too short to learn anything: {least}"
        raise UserError("--time-limit", config.time_limit, f"{format_duration(math.ceil(needed))} or more", why=why)
    workers = config.workers or 1
    # with more time there are more candidates, and each has more: ranks change until a training's end
    seconds = math.sqrt(exploring * _RANKING_UPDATES * update) / _FULL_TIMES
    seconds = min(max(seconds, exploring * workers / (_USED * config.trials)), exploring / 2)
    scored = max(_LEAST_SCORED, int(_SCORING * seconds / SLOT_EPOCHS / (pace.trained / 3)))
    decided = {"candidate_time": f"{seconds:.2f}s", "scored_examples": scored if scored < pace.available else None}
    return config.model_copy(update=decided)


def expect_trials(config: RunConfig) -> int:
    """Return how many trials a search will have: fewer than it may where each candidate has a time of its own."""
    exploring = find_exploring_seconds(config)
    if config.candidate_time is None or exploring is None:
        return config.trials
    used = _USED * parse_duration(config.candidate_time) / (config.workers or 1)
    return max(1, min(config.trials, round(exploring / used)))


def check_candidate_time(
    config: RunConfig, kind: type[Capabilities], strategy: Callable[..., Strategy], *, new: bool
) -> None:
    """Refuse a time of each candidate where there are no candidates that could be given one.

    Raises:
        UserError: naming the option.
    """
    for option, value in (("--candidate-time", config.candidate_time), ("--scored-examples", config.scored_examples)):
        if value is not None and not kind.times_candidates:
            raise UserError(option, value, "evaluators that time candidates, such as autoencoder, gan and cyclegan")
    if config.candidate_time is not None and new and config.epochs is not None:
        raise UserError("--epochs", config.epochs, "no number of epochs with --candidate-time, which says how long")
    if config.candidate_time is not None and not _trains_each_alone(config, strategy):
        fits, why = "strategies that train candidates one by one", f"{config.strategy} says how long it trains what"
        raise UserError("--candidate-time", config.candidate_time, fits, why=why)


def wants_plan(config: RunConfig, kind: type[Capabilities], strategy: Callable[..., Strategy]) -> bool:
    """Whether each candidate gets a time: there is a limit and finals, and the user has not said how long to train."""
    rules = config.promotion != "none" or config.early_stopping not in (None, "none")
    said = config.epochs or config.candidate_time or config.grow or rules
    limited = config.time_limit is not None and bool(config.finalists)
    return limited and not said and kind.times_candidates and _trains_each_alone(config, strategy)


def _trains_each_alone(config: RunConfig, strategy: Callable[..., Strategy]) -> bool:
    declared = declared_by(strategy)
    return not (declared.trains_portions or declared.trains_supernets) and config.weight_sharing != "supernet"


def declared_by(strategy: Callable[..., Strategy]) -> type[Strategy]:
    """Return the class that declares what a strategy does; the defaults where a function makes the strategy."""
    return strategy if isinstance(strategy, type) and issubclass(strategy, Strategy) else Strategy


def choose_epochs(config: RunConfig, kind: type[Capabilities], data: Any) -> int:
    """Choose how many epochs a candidate has: those that were asked for, else as many as rank candidates.

    What is promoted to the last rung has more of them: those that rank are the last's but one.
    """
    if config.epochs is not None:
        return config.epochs
    if config.candidate_time is not None:
        return SLOT_EPOCHS
    rungs = 1 if config.promotion == "none" else PROMOTED
    return rungs * max(DEFAULT_EPOCHS, kind.usual_epochs(data, config.epoch_size))
