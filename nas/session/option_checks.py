"""Checks that options fit each other: the strategy, early stopping, promotion, growth, pruning and inheritance."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from nas import registry
from nas.config import RunConfig
from nas.core.early_stopping import UNLEARNED, EarlyStopping
from nas.core.errors import CandidateFailure, UserError
from nas.core.evaluator import Capabilities, Evaluator
from nas.core.job import PruneChannels, TrainPortion, TrainRung, TrainSupernet
from nas.core.promotion import Promotion
from nas.core.space import SearchSpace, sample
from nas.core.strategy import Strategy
from nas.core.trial import Objective
from nas.session.plan import RULE, declared_by, expect_trials
from nas.strategies.one_shot import OneShot

FEW_TRIALS, FEW_EPOCHS = 8, 4
"""With more trials and epochs than these a search for one objective stops early where the user says nothing.

With four epochs asha would look after the first, which says little (docs/benchmarks.md).
"""
_PRUNABLE_OF = 4  # genotypes drawn to see whether there is one with channels to remove


def plan_early_stopping(
    config: RunConfig, given: Callable[..., EarlyStopping] | None, strategy: Callable[..., Strategy]
) -> Callable[[Objective, int, Evaluator, bool], tuple[str, EarlyStopping]]:
    """Return a function that makes the rule, with its name.

    It is given the first objective, the epochs, the evaluator, and whether candidates have a time.

    Args:
        given: what makes the rule, where the caller has passed an object.

    Raises:
        UserError: here or when the function is called: a rule or an option is unknown, or does not fit.
    """
    asked, trained = config.early_stopping, config.genotype is not None
    if trained and asked not in (None, "none"):
        raise UserError("--early-stopping", asked, "none", why="there is a genotype, which is trained in full")

    in_portions = declared_by(strategy).trains_portions
    if in_portions and asked not in (None, "none"):
        why = f"--strategy {config.strategy} decides after each portion of a training how it goes on"
        raise UserError("--early-stopping", asked, "none", why=why)

    if config.promotion != "none" and asked not in (None, "none"):
        why = f"--promotion {config.promotion} pauses candidates at its rungs"
        raise UserError("--early-stopping", asked, "none", why=why)

    def of(name: str) -> Callable[..., EarlyStopping]:
        rule: Callable[..., EarlyStopping] = given or registry.load("early-stopping", name)
        if name == "none" and config.stop_set:
            rules = "--early-stopping asha, hyperband, incumbent, median or plateau with it"
            raise UserError("--stop-set", next(iter(config.stop_set)), rules, why="nothing is stopped early here")
        registry.convert_options("--stop-set", rule, name, config.stop_set)
        return rule

    if asked is not None:
        of(asked)  # refused before data is loaded

    def make(objective: Objective, epochs: int, evaluator: Evaluator, timed: bool) -> tuple[str, EarlyStopping]:
        unlearned = objective.name in UNLEARNED
        if unlearned and asked not in (None, "none"):
            why = f"training does not improve {objective.name}, the first objective"
            raise UserError("--early-stopping", asked, "none", why=why)
        several = len(config.objective) > 1  # of a front all would go that are not good in the first
        alone = not (trained or in_portions or config.weight_sharing == "supernet" or config.promotion != "none")
        learns = not (unlearned or several)
        worth_it = config.trials > FEW_TRIALS and epochs > FEW_EPOCHS and alone and learns
        name = asked or (RULE if timed and learns else "asha" if worth_it else "none")
        rule, options = of(name), dict(config.stop_set)
        first = registry.options(rule).get("first")
        if first is not None and first.default is None and evaluator.unsettled:  # it is left open
            options.setdefault("first", math.ceil(evaluator.unsettled * epochs))
        return name, registry.make_early_stopping(rule, name, objective, epochs=epochs, seed=config.seed, given=options)

    return make


def find_promotion(config: RunConfig, strategy: type[Strategy]) -> Callable[..., Promotion] | None:
    """Find what makes the rule of promotion that was named; None for none.

    Args:
        strategy: the class that declares what the strategy does.

    Raises:
        UserError: it is unknown, or does not fit another option.
    """
    name = config.promotion
    if name == "none":
        return None
    rule: Callable[..., Promotion] = registry.load("promotion", name)
    own_way = strategy.trains_portions or strategy.trains_supernets
    refusals = (
        (config.genotype is not None, "there is a genotype, which is trained in full"),
        (own_way, f"--strategy {config.strategy} has its own way to train"),
        (config.weight_sharing == "supernet", "--weight-sharing supernet trains no candidates until its end"),
        (config.grow, "--grow makes networks smaller than they are at the first rungs"),
        (config.candidate_time is not None, "--candidate-time is that of a whole training, and rungs have epochs"),
    )
    for refused, why in refusals:
        if refused:
            raise UserError("--promotion", name, "none", why=why)
    return rule


def make_promotion(
    config: RunConfig,
    rule: Callable[..., Promotion],
    objective: Objective,
    evaluator: Evaluator,
    *,
    epochs: int,
    usual: int,
) -> Promotion:
    """Make the rule of promotion of a run.

    Args:
        objective: the first.
        epochs: of a whole training.
        usual: as many epochs as rank candidates that are trained alike.

    Raises:
        UserError: the objective, the evaluator or an option does not fit.
    """
    name = config.promotion
    if objective.name in UNLEARNED:
        why = f"training does not improve {objective.name}, the first objective"
        raise UserError("--promotion", name, "none", why=why)
    if TrainRung not in evaluator.jobs:
        fits = "one that trains candidates rung by rung, such as autoencoder, gan and cyclegan"
        raise UserError("--evaluator", type(evaluator).__name__, fits, why=f"--promotion {name} needs it")
    known = registry.options(rule)
    given = {option: value for option, value in config.set.items() if option in known}
    options = registry.convert_options("--set", rule, name, given)
    if evaluator.unsettled and "first" in known and options.get("first") is None:
        reduction = options.get("reduction", known["reduction"].default if "reduction" in known else 2)
        options["first"] = max(1, min(math.ceil(evaluator.unsettled * usual), epochs // max(1, reduction)))
    made: Promotion = registry.make("promotion", name, rule, epochs=epochs, trials=config.trials, **options)
    return made


def list_wrapping_options(config: RunConfig) -> Mapping[str, registry.Option]:
    """The options of what a strategy is wrapped in, which are set as its own are: shared weights, or promotion."""
    if config.weight_sharing == "supernet":
        return registry.options(OneShot)
    return {} if config.promotion == "none" else registry.options(registry.load("promotion", config.promotion))


def configure_strategy(config: RunConfig, strategy: Callable[..., Strategy], space: SearchSpace) -> Strategy:
    """Make the strategy that was named, within `OneShot` where a supernet's weights are shared."""

    def make(within: SearchSpace, trials: int) -> Strategy:
        made = registry.make_strategy(strategy, config.strategy, within, seed=config.seed, trials=trials, given=given)
        option, value = ("--weight-sharing", "supernet") if shared else ("--promotion", config.promotion)
        if value != "none" and (made.trains_supernets or made.trains_portions):
            raise UserError(option, value, "none", why=f"--strategy {config.strategy} has its own way to train")
        return made

    shared = config.weight_sharing == "supernet"
    wrapping = list_wrapping_options(config)
    own = {name: value for name, value in config.set.items() if name in wrapping}
    given = {name: value for name, value in config.set.items() if name not in own}
    if not shared:
        return make(space, expect_trials(config))
    return registry.make_strategy(
        OneShot, "supernet", space, seed=config.seed, trials=config.trials, given=own, make=make
    )


def check_strategy(strategy: Strategy, evaluator: Evaluator, epochs: int, config: RunConfig) -> None:
    """Refuse a strategy whose proposals the evaluator cannot evaluate.

    Raises:
        UserError: naming the option that does not fit.
    """
    if strategy.trains_supernets and TrainSupernet not in evaluator.jobs:
        fits, why = (
            "an evaluator that can train supernets, such as autoencoder and gan",
            f"--strategy {config.strategy} needs one",
        )
        raise UserError("--evaluator", type(evaluator).__name__, fits, why=why)
    if strategy.trains_portions:
        check_portions(strategy, evaluator, epochs, config)
    if config.weight_sharing == "inherit":
        check_inheritance(strategy, config.strategy, evaluator, config.keep_weights)


def check_portions(strategy: Strategy, evaluator: Evaluator, epochs: int, config: RunConfig) -> None:
    """Refuse to train portions of trainings where that cannot be.

    Raises:
        UserError: naming the option that does not fit.
    """
    if TrainPortion not in evaluator.jobs:
        fits, why = "one that can go on with a training", f"--strategy {config.strategy} needs it"
        raise UserError("--evaluator", type(evaluator).__name__, fits, why=why)
    if strategy.portions > epochs:
        why = f"a training of {epochs} epochs has no more portions"
        raise UserError("--set portions", strategy.portions, f"at most {epochs}", why=why)


def check_growth(config: RunConfig, epochs: int, kind: type[Capabilities]) -> None:
    """Refuse to let networks grow where they cannot.

    Raises:
        UserError: naming the option that does not fit.
    """
    if config.weight_sharing != "none":
        why = "--grow leaves out what children inherit"
        raise UserError("--weight-sharing", config.weight_sharing, "none, or no --grow", why=why)
    if epochs < 2:
        raise UserError("--epochs", epochs, "2 or more", why="--grow needs an epoch before the last")
    if not kind.grows:
        name = config.evaluator or config.space
        raise UserError("--grow", name, "evaluators whose networks can grow: autoencoder and gan")


def check_prunable(evaluator: Evaluator, space: SearchSpace, config: RunConfig) -> None:
    """Refuse to prune what has no channels that can be removed.

    Raises:
        UserError: saying why.
    """
    ratios = ",".join(f"{ratio:g}" for ratio in config.prune)
    if PruneChannels not in evaluator.jobs:
        fits = "evaluators that prune, such as autoencoder, gan and cyclegan"
        raise UserError("--prune", ratios, fits, why=f"{type(evaluator).__name__} does not")
    generator, why = np.random.default_rng(config.seed), ""
    for _ in range(_PRUNABLE_OF):
        try:
            evaluator.check_prunable(sample(space, generator))
        except CandidateFailure as error:
            why = str(error)
        else:
            return
    fits = "spaces whose models have channels that can be removed"
    raise UserError("--prune", ratios, fits, why=f"--space {space.name}: {why}")


def check_inheritance(strategy: Strategy, strategy_name: str, evaluator: Evaluator, keep_weights: int | None) -> None:
    """Refuse to let children begin from their parents where there are no parents, or no weights of theirs.

    Raises:
        UserError: naming the option that does not fit.
    """
    if not strategy.descends:
        allowed = "strategies whose proposals have parents: evolution, hierarchical, local, neat, deap-nsga2, predictor"
        raise UserError("--strategy", strategy_name, allowed, why="--weight-sharing inherit needs parents")
    if not evaluator.inherits_weights:
        allowed = "evaluators that can begin from weights: autoencoder, gan, cyclegan"
        raise UserError("--evaluator", type(evaluator).__name__, allowed, why="--weight-sharing inherit needs one")
    if keep_weights is not None:
        why = "--weight-sharing inherit begins from the weights of any trial so far"
        raise UserError("--keep-weights", keep_weights, "nothing: all weights are kept", why=why)
