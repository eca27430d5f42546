"""A configuration put together: names become the parts of a search, and the space becomes what was asked for."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas import registry
from nas.config import ALL_EXAMPLES, RunConfig
from nas.core.early_stopping import EarlyStopping
from nas.core.errors import InvalidGenotype, UserError, unknown_name
from nas.core.evaluator import DEFAULT_EPOCHS, Assumption, Capabilities, Evaluator
from nas.core.executor import Executor
from nas.core.genotype import Genotype
from nas.core.job import TrainFinalist, TrainPortion
from nas.core.space import Conditionable, Restrictable, SearchSpace, Traceable, check_arising
from nas.core.strategy import Strategy
from nas.core.trial import Objective
from nas.session.option_checks import (
    check_growth,
    check_prunable,
    check_strategy,
    early_stopping_of,
    strategy_of,
)
from nas.strategies.fixed_genotype import make_fixed_genotype
from nas.strategies.one_shot import OneShot
from nas.strategies.usual_first import UsualFirst, find_usual
from nas.study.parts import Parts

if TYPE_CHECKING:
    from nas.data.dataset import Dataset
    from nas.data.pairs import DomainPair

DEFAULT_FINALISTS = 2
SEARCH_EPOCH = 6_000
"""Examples that an epoch of a search shows at most, where the user says nothing."""
TRAIN = "train"
"""What a configuration with a genotype has for a strategy: none, as there is nothing to search."""
ARRAYS = "arrays"
"""The name of data that was given as arrays."""


@dataclass(frozen=True)
class Given:
    """Objects that a caller passes instead of names."""

    space: SearchSpace | None = None
    data: Dataset | DomainPair | None = None
    data_b: Dataset | None = None
    strategy: Callable[..., Strategy] | None = None
    evaluator: Callable[..., Evaluator] | None = None
    genotype: Genotype | None = None
    early_stopping: Callable[..., EarlyStopping] | None = None


NO_OBJECTS = Given()


def assemble(config: RunConfig, given: Given = NO_OBJECTS, assumed: tuple[Assumption, ...] | None = None) -> Parts:
    """Everything that a search needs. Of a genotype to be trained nothing is narrowed and nothing assumed.

    Args:
        assumed: what the run assumed when it began, on whatever machine; None for a new run.

    Raises:
        UserError: a name that is unknown, or parts that do not fit each other.
    """
    new = assumed is None
    trained = None if config.genotype is None else Genotype(config.genotype)
    executor = _make_executor(config)
    space = space_of(config, given)
    strategy = _strategy_class(config, given, trained)
    early_stopping = early_stopping_of(config, given.early_stopping, strategy)
    space = _restrict(space, config)
    device = _choose_device(config.device)
    maker = given.evaluator or _find_evaluator(config, space)
    kind = _capabilities(maker)
    data = _load_data(config, given, space, kind)
    if isinstance(space, Conditionable):
        space = space.conditioned(data.condition)
    if trained is not None:
        assumed = ()
        check_genotype(trained, space)
    epoch_size = _choose_epoch_size(config, kind)
    epochs = config.epochs or max(DEFAULT_EPOCHS, kind.usual_epochs(data, epoch_size))
    options = _evaluator_options(config, kind, epochs)
    if kind.sizes_epochs:
        options["epoch_size"] = epoch_size

    def make_evaluator(space: SearchSpace) -> Evaluator:
        constructor = maker.make_evaluator if isinstance(maker, type) and issubclass(maker, Capabilities) else maker
        made: Evaluator = registry.make(
            "evaluator", config.evaluator or space.task, constructor,
            space, data, epochs=epochs, device=device, **options,
        )  # fmt: skip
        return made

    evaluator = make_evaluator(space)
    objectives = _objectives_of(evaluator, config)
    names = [objective.name for objective in objectives]
    space, assumed = _assume(space, evaluator, names, config) if assumed is None else _as_before(space, assumed)
    if assumed:
        evaluator = make_evaluator(space)
    _check_jobs(config, evaluator, space, new=new)

    def make_strategy(of: SearchSpace) -> Strategy:
        made = strategy_of(config, strategy, of)
        check_strategy(made, evaluator, epochs, config)
        plain = not (made.trains_supernets or made.trains_portions or made.begins_with_usual)
        usual = find_usual(of, config.seed) if config.usual and plain and config.trials > 1 else None
        return made if usual is None else UsualFirst(made, usual)

    stopping, rule = early_stopping(objectives[0], epochs, evaluator)
    return Parts(
        space, evaluator, data, objectives, assumed, make_strategy, executor, device, epochs, rule, stopping,
        epoch_size=epoch_size,
        finalists=_count_finalists(config, evaluator, strategy),
        usual=find_usual(space, config.seed) if config.usual else None,
    )  # fmt: skip


def _count_finalists(config: RunConfig, evaluator: Evaluator, strategy: Callable[..., Strategy]) -> int:
    """How many of the best are trained in full at the end, the usual genotype beside them; by default 2 where it pays.

    Raises:
        UserError: finals are asked for where there can be none.
    """
    several = len(config.objective) > 1
    in_portions = isinstance(strategy, type) and issubclass(strategy, Strategy) and strategy.trains_portions
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


def _strategy_class(config: RunConfig, given: Given, trained: Genotype | None) -> Callable[..., Strategy]:
    """What makes the strategy, with its options checked before data is loaded.

    Raises:
        UserError: it is unknown, or does not take an option; or there is a genotype, which needs none.
    """
    if trained is not None:
        if config.strategy != TRAIN:
            raise UserError("--strategy", config.strategy, TRAIN, why="there is a genotype, which is trained alone")
        return make_fixed_genotype(trained)
    found: Callable[..., Strategy] = given.strategy or registry.load("strategy", config.strategy)
    known = registry.options(found)
    if config.weight_sharing == "supernet":
        known = {**known, **registry.options(OneShot)}
    registry.check_options("--set", config.strategy, config.set, known)
    return found


def _find_evaluator(config: RunConfig, space: SearchSpace) -> Any:
    """The evaluator that the user names, else that of the space's task.

    Raises:
        UserError: there is none of this name.
    """
    if config.evaluator is None and ":" not in space.task and space.task not in registry.names("evaluator"):
        fits = f"spaces whose task is {', '.join(registry.names('evaluator'))} or module:Class, or --evaluator with it"
        raise UserError("--space", space.name, fits, why=f"has the unknown task {space.task}")
    return registry.load("evaluator", config.evaluator or space.task)


def _capabilities(maker: Any) -> type[Capabilities]:
    """What is known of evaluators before there is one; of those that a function makes, the defaults."""
    return maker if isinstance(maker, type) and issubclass(maker, Capabilities) else Evaluator


def _choose_epoch_size(config: RunConfig, kind: type[Capabilities]) -> int | None:
    """How many examples an epoch shows at most: of a search not all of a large set, so that it can look often enough.

    Raises:
        UserError: the evaluator's epochs have no size that could be chosen.
    """
    if config.epoch_size is not None and not kind.sizes_epochs and config.epoch_size < ALL_EXAMPLES:
        fits = "evaluators whose epochs can be shorter, such as autoencoder, gan and cyclegan"
        raise UserError("--epoch-size", config.epoch_size, fits)
    searching = config.genotype is None and kind.sizes_epochs
    return config.epoch_size or (SEARCH_EPOCH if searching else None)


def _evaluator_options(config: RunConfig, kind: type[Capabilities], epochs: int) -> dict[str, Any]:
    """The options of this kind of evaluator alone.

    Raises:
        UserError: it does not take one that the user has given.
    """
    options: dict[str, Any] = {}
    if config.features is not None:
        if not kind.extracts_features:
            raise UserError("--features", config.features, "evaluators that score samples, such as gan")
        options["features"] = config.features
    if config.grow:
        check_growth(config, epochs, kind)
        options["grow"] = True
    return options


def _objectives_of(evaluator: Evaluator, config: RunConfig) -> tuple[Objective, ...]:
    """The metrics to optimise: those that were asked for, else the evaluator's first.

    Raises:
        UserError: there is no such metric, or it makes no objective.
    """
    known = evaluator.objectives
    for name in config.objective or ():
        metric = evaluator.metrics.get(name)
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
    """Who evaluates.

    Raises:
        UserError: it is unknown, or does not take the options given, or cannot train in full.
    """
    executor = registry.make_executor(config.executor_name, config.executor_options)
    if config.genotype is not None and executor.isolated:
        why = "a training in full keeps its checkpoints in this process"
        raise UserError("--executor", config.executor_name, "inline", why=why)
    return executor


def check_genotype(genotype: Genotype, space: SearchSpace) -> None:
    """Refuse to train a genotype that is none of this space, as the data conditions it.

    Raises:
        UserError: naming the path to the fault.
    """
    try:
        space.validate(genotype)
    except InvalidGenotype as error:
        raise UserError("GENOTYPE", genotype.id, f"a genotype of the space {space.name}", why=str(error)) from None


def space_of(config: RunConfig, given: Given = NO_OBJECTS) -> SearchSpace:
    """The space itself, not narrowed."""
    if given.space is not None:
        return given.space
    space: SearchSpace = registry.make("space", config.space, registry.load("space", config.space))
    return space


def _restrict(space: SearchSpace, config: RunConfig) -> SearchSpace:
    for option, wanted in (
        ("--restrict", {site: tuple(values) for site, values in config.restrict.items()}),
        ("--pin", {site: (value,) for site, value in config.pin.items()}),
    ):
        if not wanted:
            continue
        if not isinstance(space, Restrictable):
            raise UserError(option, next(iter(wanted)), "nothing: this space cannot be narrowed")
        space = space.restrict(wanted, option)
    if isinstance(space, Restrictable) and config.pin and config.restrict:
        # what --restrict asked for may arise no longer since --pin
        check_arising(space.choices(), config.restrict, "--restrict", "never arises together with the other options")
    return space


def fix_architecture(config: RunConfig, genotype: Genotype, given: Given = NO_OBJECTS) -> RunConfig:
    """The configuration with every decision of `genotype` pinned that is not about training: HPO alone.

    What the genotype decides and the other options let no longer arise is not pinned.

    Raises:
        UserError: the genotype is of another space, or the other options contradict it.
    """
    space, source = space_of(config, given), config.from_
    narrowed = _restrict(space, config)
    if not isinstance(space, Traceable) or not isinstance(narrowed, Restrictable):
        raise UserError("--from", source, "spaces that list and narrow their decisions", why=f"{space.name} does not")
    try:
        decisions = space.trace(genotype)
    except InvalidGenotype as error:
        raise UserError("--from", source, f"a genotype of the space {space.name}", why=str(error)) from None
    left = narrowed.choices()
    pins = {}
    for site, value in ((d.choice.site, d.value) for d in decisions if d.choice.role != "hyperparameter"):
        if site not in left:
            continue
        if value not in left[site].values:
            pinned = any(fnmatch.fnmatchcase(site, pattern) for pattern in config.pin)
            others = ", ".join(map(str, left[site].values))
            why = f"has {site} = {value}, which --{'pin' if pinned else 'restrict'} excludes"
            raise UserError("--from", source, f"a genotype with {site} = {others}", why=why)
        pins[site] = value
    return config.model_copy(update={"pin": {**pins, **config.pin}, "from_": None})


def _assume(
    space: SearchSpace, evaluator: Evaluator, objectives: Sequence[str], config: RunConfig
) -> tuple[SearchSpace, tuple[Assumption, ...]]:
    """Restrict what the objectives need restricted and the user has said nothing about.

    Raises:
        UserError: two objectives need what excludes each other.
    """
    if not isinstance(space, Restrictable):
        return space, ()
    made: dict[str, Assumption] = {}
    decided = [*config.pin, *config.restrict]
    for objective in objectives:
        for assumption in evaluator.assumptions(objective):
            site = assumption.site
            choice = space.choices().get(site)
            if choice is None or any(fnmatch.fnmatchcase(site, pattern) for pattern in decided):
                continue
            values = tuple(value for value in choice.values if value in assumption.values)
            if not values and site in made:
                first, wanted = made[site], ", ".join(map(str, assumption.values))
                raise UserError(
                    "--objective", objective, "objectives that one candidate can have",
                    why=f"needs {site} = {wanted} ({assumption.reason}), "
                    f"which is {', '.join(map(str, first.values))} already ({first.reason})",
                )  # fmt: skip
            if not values or values == choice.values:
                continue
            space = space.restrict({site: values}, "--objective")
            made[site] = Assumption(site, values, assumption.reason)
    return space, tuple(made.values())


def _as_before(space: SearchSpace, assumed: tuple[Assumption, ...]) -> tuple[SearchSpace, tuple[Assumption, ...]]:
    for assumption in assumed:
        assert isinstance(space, Restrictable)
        space = space.restrict({assumption.site: assumption.values}, "--objective")
    return space, assumed


def _load_data(config: RunConfig, given: Given, space: SearchSpace, kind: type[Capabilities]) -> Dataset | DomainPair:
    """The data that the space's models and the evaluator are for.

    Raises:
        UserError: it is of another kind, there is one set too many or too few, or one cannot be used.
    """
    both = [one for one in space.data_kinds if one in kind.data_kinds]
    if not both:
        fits = f"evaluators of data of the kind {' or '.join(space.data_kinds)}"
        raise UserError("--evaluator", config.evaluator or space.task, fits, why=f"does not fit --space {space.name}")
    data = _load(config, given, paired="image_pair" in both)
    if data.kind not in both:
        why = f"its examples are of the kind {data.kind}"
        raise UserError(
            "--dataset", data.name, f"data of the kind {' or '.join(both)}, for --space {space.name}", why=why
        )
    return data


def _load(config: RunConfig, given: Given, *, paired: bool) -> Dataset | DomainPair:
    from nas.data.loading import load_data
    from nas.data.pairs import DomainPair, load_pair, make_pair

    if paired and config.dataset_b is None:
        why = f"--space {config.space} translates between two sets of images"
        raise UserError("--dataset-b", None, "the other data set, such as inverted:digits", why=why)
    if config.dataset_b is not None and not paired:
        why = f"--space {config.space} takes one data set"
        raise UserError("--dataset-b", config.dataset_b, "spaces that translate, such as cyclegan", why=why)
    if isinstance(given.data, DomainPair):
        return given.data
    for option, name, found in (("data", config.dataset, given.data), ("data_b", config.dataset_b, given.data_b)):
        if name == ARRAYS and found is None:
            raise UserError(option, ARRAYS, "the arrays that the run was begun with", why="must be given again")
    options: dict[str, Any] = {
        "seed": config.seed,
        "train_size": config.train_size,
        "image_size": config.image_size,
        "data_dir": config.data_dir,
        "strict": config.strict,
    }
    if config.dataset_b is None:
        return given.data or load_data(config.dataset, **options)
    if given.data is None and given.data_b is None:
        return load_pair(config.dataset, config.dataset_b, **options)
    first = given.data or load_data(config.dataset, **options)
    return make_pair(first, given.data_b or load_data(config.dataset_b, **options))


def _choose_device(wanted: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError("--device", "cuda", "auto, cpu", why="PyTorch finds no CUDA device here")
    return "cuda" if available and wanted != "cpu" else "cpu"
