"""A configuration put together: names become the parts of a search, and the space becomes what was asked for."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas import registry
from nas.config import RunConfig
from nas.core.early_stopping import EarlyStopping
from nas.core.errors import InvalidGenotype, UserError, unknown_name
from nas.core.evaluator import Assumption, Continuable, Evaluator, SupernetEvaluator
from nas.core.genotype import Genotype
from nas.core.space import BetweenDomains, Conditionable, Restrictable, SearchSpace, Traceable, check_arising
from nas.core.strategy import Strategy
from nas.session.option_checks import (
    check_growth,
    check_inheritance,
    check_portions,
    check_prunable,
    early_stopping_of,
    strategy_of,
)
from nas.strategies.fixed_genotype import make_fixed_genotype
from nas.strategies.one_shot import OneShot
from nas.study.parts import Parts

if TYPE_CHECKING:
    from nas.data.dataset import Dataset
    from nas.data.pairs import DomainPair

DEFAULT_EPOCHS = 4
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
    assumed_before = assumed
    executor = _executor(config)
    space = space_of(config, given)
    trained = None if config.genotype is None else Genotype(config.genotype)
    strategy = (
        make_fixed_genotype(trained)
        if trained is not None
        else given.strategy or registry.load("strategy", config.strategy)
    )
    if trained is not None and config.strategy != TRAIN:
        raise UserError("--strategy", config.strategy, TRAIN, why="there is a genotype, which is trained alone")
    known = registry.options(strategy)
    if config.weight_sharing == "supernet":
        known = {**known, **registry.options(OneShot)}
    registry.check_options("--set", config.strategy, config.set, known)  # before data is loaded
    early_stopping = early_stopping_of(config, given.early_stopping, strategy)
    space = _narrowed(space, config)
    device = _device(config.device)
    evaluator_class = given.evaluator or _evaluator_class(config, space)
    data = _data(config, given, space)
    if isinstance(space, Conditionable):
        space = space.conditioned(data.condition)
    if trained is not None:
        assumed = ()
        check_genotype(trained, space)
    epochs = config.epochs or _usual_epochs(evaluator_class, data)

    options: dict[str, Any] = {} if config.features is None else {"features": config.features}
    if options and "features" not in inspect.signature(evaluator_class).parameters:
        raise UserError("--features", config.features, "evaluators that score samples, such as gan")

    if config.grow:
        check_growth(config, epochs, evaluator_class)
        options["grow"] = True

    def evaluator_of(space: SearchSpace) -> Evaluator:
        made: Evaluator = registry.make(
            "evaluator", config.evaluator or space.name, evaluator_class,
            space, data, epochs=epochs, device=device, **options,
        )  # fmt: skip
        return made

    evaluator = evaluator_of(space)
    if trained is not None and not isinstance(evaluator, Continuable):
        fits = "an evaluator that trains in full, such as autoencoder, gan and cyclegan"
        raise UserError("--evaluator", type(evaluator).__name__, fits)
    names = config.objective or [next(iter(evaluator.objectives))]
    for name in names:
        if name not in evaluator.objectives:
            raise unknown_name("--objective", name, evaluator.objectives)
    space, assumed = _assume(space, evaluator, names, config) if assumed is None else _as_before(space, assumed)
    if assumed:
        evaluator = evaluator_of(space)

    if config.prune and assumed_before is None:
        check_prunable(evaluator, space, config)

    def make(of: SearchSpace) -> Strategy:
        made = strategy_of(config, strategy, of)
        if made.trains_supernets and not isinstance(evaluator, SupernetEvaluator):
            fits = "an evaluator that can train supernets, such as autoencoder and gan"
            raise UserError(
                "--evaluator", type(evaluator).__name__, fits, why=f"--strategy {config.strategy} needs one"
            )
        if made.trains_portions:
            check_portions(made, evaluator, epochs, config)
        if config.weight_sharing == "inherit":
            check_inheritance(made, config.strategy, evaluator, config.keep_weights)
        return made

    objectives = tuple(evaluator.objectives[name] for name in names)
    stopping, rule = early_stopping(objectives[0], epochs, evaluator)
    return Parts(space, evaluator, data, objectives, assumed, make, executor, device, epochs, rule, stopping)


def _executor(config: RunConfig) -> Any:
    """Who evaluates.

    Raises:
        UserError: it is unknown, or does not take the options given, or cannot train in full.
    """
    executor = registry.make_executor(config.executor_name, config.executor_options)
    if config.genotype is not None and getattr(executor, "isolated", False):
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


def _narrowed(space: SearchSpace, config: RunConfig) -> SearchSpace:
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
    narrowed = _narrowed(space, config)
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
    assumptions = getattr(evaluator, "assumptions", None)
    if assumptions is None or not isinstance(space, Restrictable):
        return space, ()
    made: dict[str, Assumption] = {}
    decided = [*config.pin, *config.restrict]
    for objective in objectives:
        for assumption in assumptions(objective):
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


def _evaluator_class(config: RunConfig, space: SearchSpace) -> Callable[..., Evaluator]:
    name = config.evaluator or registry.EVALUATOR_OF.get(space.name, "autoencoder")
    loaded: Callable[..., Evaluator] = registry.load("evaluator", name)
    both, two = getattr(loaded, "domains", 1) == 2, isinstance(space, BetweenDomains)
    if both != two:
        fits = "evaluators of translators, such as cyclegan" if two else "evaluators of one data set"
        raise UserError("--evaluator", name, fits, why=f"does not fit --space {space.name}")
    return loaded


def _usual_epochs(evaluator_class: Callable[..., Evaluator], data: Dataset | DomainPair) -> int:
    """What the evaluator thinks right for the data, where the user says nothing."""
    usual = getattr(evaluator_class, "usual_epochs", None)
    return DEFAULT_EPOCHS if usual is None else max(DEFAULT_EPOCHS, int(usual(data)))


def _data(config: RunConfig, given: Given, space: SearchSpace) -> Dataset | DomainPair:
    """The data set, or both where the space is between two.

    Raises:
        UserError: there is one too many or too few, or one cannot be used.
    """
    from nas.data.loading import load_data
    from nas.data.pairs import DomainPair, load_pair, pair_of

    between = isinstance(space, BetweenDomains)
    if between and config.dataset_b is None:
        why = f"--space {space.name} translates between two sets of images"
        raise UserError("--dataset-b", None, "the other data set, such as inverted:digits", why=why)
    if config.dataset_b is not None and not between:
        why = f"--space {space.name} takes one data set"
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
    return pair_of(first, given.data_b or load_data(config.dataset_b, **options))


def _device(wanted: str) -> str:
    import torch

    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError("--device", "cuda", "auto, cpu", why="PyTorch finds no CUDA device here")
    return "cuda" if available and wanted != "cpu" else "cpu"
