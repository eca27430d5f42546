"""The parts of a search, made from a configuration and checked against each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nas import registry
from nas.config import RunConfig
from nas.core.durations import parse_duration
from nas.core.errors import CandidateFailure, InvalidGenotype, UserError, unknown_name
from nas.core.evaluator import Assumption, Capabilities, Evaluator, Pace
from nas.core.executor import Executor
from nas.core.genotype import Genotype
from nas.core.job import TrainFinalist, TrainPortion
from nas.core.metric import LATENCY
from nas.core.space import Conditionable, SearchSpace
from nas.core.strategy import Strategy
from nas.core.trial import Objective, Proposal
from nas.session.data import load_run_data
from nas.session.device import choose_device, choose_precision
from nas.session.given import NO_OBJECTS, Given
from nas.session.option_checks import (
    check_growth,
    check_prunable,
    check_strategy,
    configure_strategy,
    find_promotion,
    list_wrapping_options,
    make_promotion,
    plan_early_stopping,
)
from nas.session.plan import (
    SLOT_EPOCHS,
    UNSCHEDULED,
    check_candidate_time,
    choose_epochs,
    declared_by,
    find_final_share,
    plan_time,
    wants_plan,
)
from nas.session.restrictions import (
    adapt_genotypes,
    assume,
    assume_restrictions,
    fit_space,
    load_space,
    refuse_unaware,
    restore_assumptions,
    restrict_space,
)
from nas.strategies.fixed_genotype import make_fixed_genotype
from nas.strategies.promoted import Promoted
from nas.strategies.usual_first import UsualFirst, find_usual, join_first
from nas.study.parts import Parts

DECIDED = ("precision", "finalists", "final_share", "epoch_size", "candidate_time", "scored_examples")
"""Options that are decided by the run's parts where the user leaves them open."""
TRAIN = "train"
"""What a configuration with a genotype has for a strategy: none, as there is nothing to search."""

DEFAULT_FINALISTS = 2
SEARCH_EPOCH = 6_000
"""Examples that an epoch of a search shows at most, where the user says nothing."""


def assemble(
    config: RunConfig,
    given: Given = NO_OBJECTS,
    assumed: tuple[Assumption, ...] | None = None,
    version: int | None = None,
) -> Parts:
    """Make everything that a search needs. Where a genotype is trained, the objectives restrict nothing.

    Args:
        assumed: what the run assumed when it began, on whatever machine; None for a new run.
        version: of the space that the run has genotypes of; None for today's.

    Raises:
        UserError: a name that is unknown, or parts that do not fit each other.
    """
    new = assumed is None
    trained = None if config.genotype is None else Genotype(config.genotype)
    executor = _make_executor(config)
    space = load_space(config, given)
    strategy = _load_strategy(config, given, trained)
    early_stopping = plan_early_stopping(config, given.early_stopping, strategy)
    promotion = find_promotion(config, declared_by(strategy))
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    maker = given.evaluator or _find_evaluator(config, space)
    kind = _read_capabilities(maker)
    data = load_run_data(config, given, space, kind)
    space = restrict_space(fit_space(space, data, version), config)
    if isinstance(space, Conditionable):
        space = space.conditioned(data.condition)
    if trained is not None:
        assumed = ()
        check_genotype(trained, space)
    if config.precision == "bf16" and not kind.takes_precision:
        why = f"--evaluator {config.evaluator or space.task} does not choose"
        raise UserError("--precision", "bf16", "auto, fp32", why=why)
    precision = precision if kind.takes_precision else "fp32"
    config = config.model_copy(update={"epoch_size": _choose_epoch_size(config, kind, new=new), "precision": precision})
    check_candidate_time(config, kind, strategy, new=new)
    epochs = choose_epochs(config, kind, data)

    def make_evaluator(space: SearchSpace) -> Evaluator:
        options = _collect_evaluator_options(config, kind, epochs)
        constructor = maker.make_evaluator if isinstance(maker, type) and issubclass(maker, Capabilities) else maker
        made: Evaluator = registry.make(
            "evaluator", config.evaluator or space.task, constructor,
            space, data, epochs=epochs, device=device, **options,
        )  # fmt: skip
        return made

    evaluator = make_evaluator(space)
    objectives = _choose_objectives(evaluator, config, new=new)
    names = [objective.name for objective in objectives]
    if assumed is None:
        space, assumed = assume_restrictions(space, evaluator, names, config)
        refuse_unaware(given, assumed)
    else:
        space = restore_assumptions(space, assumed)
    if assumed:
        evaluator = make_evaluator(space)
    _check_jobs(config, evaluator, space, new=new)

    usual = find_usual(space, config.seed) if config.usual and trained is None else None
    asked_share = config.final_share
    finals = {"finalists": _count_finalists(config, evaluator, strategy), "final_share": find_final_share(config)}
    config = config.model_copy(update=finals)
    if new and usual is not None and wants_plan(config, kind, strategy):
        config, epochs = plan_time(config, _measure_pace(evaluator, usual, config), asked_share), SLOT_EPOCHS
        space, more = assume(space, [UNSCHEDULED], config)
        assumed += more
        refuse_unaware(given, assumed)
        evaluator, usual = make_evaluator(space), find_usual(space, config.seed)

    rule = None
    if promotion is not None:
        usual_epochs = kind.usual_epochs(data, config.epoch_size)
        rule = make_promotion(config, promotion, objectives[0], evaluator, epochs=epochs, usual=usual_epochs)

    def make_strategy(of: SearchSpace) -> Strategy:
        made, found = configure_strategy(config, strategy, of), adapt_genotypes(config.first, of)
        check_strategy(made, evaluator, epochs, config)
        plain = not (made.trains_supernets or made.trains_portions or made.begins_with_usual)
        announced = config.proposals > 1
        if found and made.trains_portions:
            if config.known:
                fits = "strategies whose results another can be told of"
                raise UserError("--strategy", config.strategy, fits, why="goes on with trainings of its own alone")
            made.start_from(join_first([] if usual is None else [Proposal(usual, origin="usual")], found, 0))
        elif found:
            made = UsualFirst(made, usual, found, config.known)
        elif usual is not None and plain and (announced or config.trials > 1):
            made = UsualFirst(made, usual, announced=announced)
        return made if rule is None else Promoted(made, rule)

    timed = config.candidate_time is not None
    stopping, stopping_rule = early_stopping(objectives[0], epochs, evaluator, timed)
    return Parts(
        space, evaluator, data, objectives, assumed, make_strategy, executor, device, epochs, stopping_rule, stopping,
        decided={name: getattr(config, name) for name in DECIDED},
        usual=usual,
        promotion=rule,
    )  # fmt: skip


def load_data_first(config: RunConfig, given: Given) -> Given:
    """Load a run's data before its other parts are made, and give it as an object.

    Raises:
        UserError: see nas.session.data.load_run_data.
    """
    space = load_space(config, given)
    kind = _read_capabilities(given.evaluator or _find_evaluator(config, space))
    return replace(given, data=load_run_data(config, given, space, kind))


def _measure_pace(evaluator: Evaluator, usual: Genotype, config: RunConfig) -> Pace:
    """Measure how fast the usual genotype is trained here.

    Raises:
        UserError: it cannot be trained.
    """
    try:
        return evaluator.measure_pace(usual, config.seed)
    except CandidateFailure as error:
        fits = "a space whose usual genotype can be trained, or --epochs"
        raise UserError("--time-limit", config.time_limit, fits, why=str(error)) from None


def _count_finalists(config: RunConfig, evaluator: Evaluator, strategy: Callable[..., Strategy]) -> int:
    """Count the best trials that are trained in full at the end, beside the usual genotype; by default 2 where it pays.

    Raises:
        UserError: finals are asked for where there can be none.
    """
    several = len(config.objective) > 1
    in_portions = declared_by(strategy).trains_portions
    if config.finalists:
        if TrainFinalist not in evaluator.jobs:
            fits = "0 with this evaluator, which trains no finalists"
            raise UserError("--finalists", config.finalists, fits, why=f"{type(evaluator).__name__} does not")
        if several:
            raise UserError("--finalists", config.finalists, "0 with several objectives", why="there is no one winner")
        if in_portions:
            why = f"--strategy {config.strategy} trains its candidates in full itself"
            raise UserError("--finalists", config.finalists, "0 with this strategy", why=why)
    none = several or in_portions or config.genotype is not None or TrainFinalist not in evaluator.jobs
    return 0 if none else DEFAULT_FINALISTS if config.finalists is None else config.finalists


def _choose_epoch_size(config: RunConfig, kind: type[Capabilities], *, new: bool) -> int | None:
    """Choose how many examples an epoch shows at most: of a search not all of a large set, so that it looks often.

    Raises:
        UserError: the evaluator's epochs have no size that could be chosen.
    """
    if new and config.epoch_size is not None and not kind.sizes_epochs:
        fits = "evaluators whose epochs can be shorter, such as autoencoder, gan and cyclegan"
        raise UserError("--epoch-size", config.epoch_size, fits)
    searching = config.genotype is None and kind.sizes_epochs
    return config.epoch_size or (SEARCH_EPOCH if searching else None)


def _load_strategy(config: RunConfig, given: Given, trained: Genotype | None) -> Callable[..., Strategy]:
    """Return what makes the strategy, and check its options before data is loaded.

    Raises:
        UserError: it is unknown, or does not take an option; or there is a genotype, which needs none.
    """
    if trained is not None:
        if config.strategy != TRAIN:
            raise UserError("--strategy", config.strategy, TRAIN, why="there is a genotype, which is trained alone")
        return make_fixed_genotype(trained)
    found: Callable[..., Strategy] = given.strategy or registry.load("strategy", config.strategy)
    known = {**registry.options(found), **list_wrapping_options(config)}
    registry.check_options("--set", config.strategy, config.set, known)
    return found


def _find_evaluator(config: RunConfig, space: SearchSpace) -> Any:
    """Find the evaluator that the user names, else that of the space's task.

    Raises:
        UserError: there is none of this name.
    """
    if config.evaluator is None and ":" not in space.task and space.task not in registry.names("evaluator"):
        fits = f"spaces whose task is {', '.join(registry.names('evaluator'))} or module:Class, or --evaluator with it"
        raise UserError("--space", space.name, fits, why=f"has the unknown task {space.task}")
    return registry.load("evaluator", config.evaluator or space.task)


def _read_capabilities(maker: Any) -> type[Capabilities]:
    """Return the capabilities that an evaluator's class declares; the defaults where a function makes the evaluator."""
    return maker if isinstance(maker, type) and issubclass(maker, Capabilities) else Evaluator


def _collect_evaluator_options(config: RunConfig, kind: type[Capabilities], epochs: int) -> dict[str, Any]:
    """Collect the options that only some evaluators take.

    Raises:
        UserError: it does not take one that the user has given.
    """
    options: dict[str, Any] = {}
    if kind.sizes_epochs:
        options["epoch_size"] = config.epoch_size
    if config.scored_examples is not None:
        options["scored_examples"] = config.scored_examples
    if kind.takes_precision:
        options["precision"] = config.precision
    if config.candidate_time is not None:
        options["candidate_seconds"] = parse_duration(config.candidate_time)
    if asked := [name for name in config.objective if name in kind.on_demand]:
        options["measured"] = tuple(asked)
    if config.features is not None:
        if not kind.extracts_features:
            raise UserError("--features", config.features, "evaluators that score samples, such as gan")
        options["features"] = config.features
    if config.grow:
        check_growth(config, epochs, kind)
        options["grow"] = True
    return options


def _choose_objectives(evaluator: Evaluator, config: RunConfig, *, new: bool) -> tuple[Objective, ...]:
    """Choose the metrics to optimise: those that were asked for, else the evaluator's first.

    Raises:
        UserError: there is no such metric, or it makes no objective.
    """
    known = dict(evaluator.objectives)
    if not new:  # what an earlier version began with is gone on with
        others = {name: metric for name, metric in evaluator.metrics.items() if name not in known}
        known |= {name: Objective(name, metric.direction or "maximize") for name, metric in others.items()}
    for name in config.objective or ():
        metric = evaluator.metrics.get(name)
        if metric is None and name in LATENCY:
            why = f"{type(evaluator).__name__} has no models that could be timed"
            raise UserError("--objective", name, ", ".join(known), why=why)
        if metric is None:
            raise unknown_name("--objective", name, known)
        if name not in known:
            why = metric.caveat or "is best at a value of its own, neither small nor large"
            raise UserError("--objective", name, ", ".join(known), why=why)
    return tuple(known[name] for name in config.objective or [next(iter(known))])


def _check_jobs(config: RunConfig, evaluator: Evaluator, space: SearchSpace, *, new: bool) -> None:
    """Refuse to ask an evaluator for what it cannot do, whatever the strategy.

    Raises:
        UserError: naming the option.
    """
    if config.genotype is not None and TrainPortion not in evaluator.jobs:
        fits = "an evaluator that trains in full, such as autoencoder, gan and cyclegan"
        raise UserError("--evaluator", type(evaluator).__name__, fits)
    if config.prune and new:
        check_prunable(evaluator, space, config)


def _make_executor(config: RunConfig) -> Executor:
    """Make the executor.

    Raises:
        UserError: it is unknown, or does not take the options given, or cannot train in full.
    """
    executor = registry.make_executor(config.executor_name, config.executor_options)
    if config.genotype is not None and executor.isolated:
        why = "a training in full keeps its checkpoints in this process"
        raise UserError("--executor", config.executor_name, "inline", why=why)
    return executor


def check_genotype(genotype: Genotype, space: SearchSpace) -> None:
    """Refuse to train a genotype that is not one of this space, as the data conditions it.

    Raises:
        UserError: naming the path to the fault.
    """
    try:
        space.validate(genotype)
    except InvalidGenotype as error:
        raise UserError("GENOTYPE", genotype.id, f"a genotype of the space {space.name}", why=str(error)) from None
