"""Names of strategies, spaces, evaluators, executors and rules of early stopping and promotion, and what they name.

Users' own: ``module:Class``, or an entry point in the group ``nas.strategies``, ``nas.spaces``,
``nas.evaluators``, ``nas.executors``, ``nas.early_stopping`` or ``nas.promotion``.
"""

from __future__ import annotations

import importlib.metadata
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nas.core.early_stopping import EarlyStopping
from nas.core.errors import UserError, unknown_name
from nas.core.executor import Executor
from nas.core.imports import import_part
from nas.core.space import SearchSpace
from nas.core.strategy import Strategy
from nas.core.trial import Objective

Kind = Literal["strategy", "space", "evaluator", "executor", "early-stopping", "promotion"]

BUILT_IN: dict[Kind, dict[str, str]] = {
    "strategy": {
        "cmaes": "nas.strategies.optuna_samplers:CMAES",
        "darts": "nas.strategies.darts:Darts",
        "deap-nsga2": "nas.strategies.deap_nsga2:DeapNSGA2",
        "evolution": "nas.strategies.evolution:Evolution",
        "gp": "nas.strategies.optuna_samplers:GP",
        "hierarchical": "nas.strategies.hierarchical:Hierarchical",
        "local": "nas.strategies.local:Local",
        "metaqnn": "nas.strategies.metaqnn:MetaQNN",
        "neat": "nas.strategies.neat:Neat",
        "nsga2": "nas.strategies.optuna_samplers:NSGA2",
        "optuna": "nas.strategies.optuna_samplers:Optuna",
        "pbt": "nas.strategies.pbt:PopulationBased",
        "predictor": "nas.strategies.predictor:Predictor",
        "random": "nas.strategies.random:Random",
        "reinforce": "nas.strategies.reinforce:Reinforce",
        "tpe": "nas.strategies.optuna_samplers:TPE",
    },
    "space": {
        "adversarialnas": "search_spaces.adversarialnas.space:AdversarialNasSpace",
        "autoencoder": "search_spaces.autoencoder.space:AutoencoderSpace",
        "autogan": "search_spaces.autogan.space:AutoganSpace",
        "cyclegan": "search_spaces.cyclegan.space:CycleGanSpace",
        "gan": "search_spaces.gan.space:GanSpace",
    },
    "evaluator": {
        "autoencoder": "evaluators.autoencoder.task:AutoencoderTask",
        "cyclegan": "evaluators.cyclegan.task:CycleGanTask",
        "gan": "evaluators.gan.task:GanTask",
    },
    "executor": {"inline": "nas.executors.inline:Inline", "ray": "nas.executors.ray_tune.executor:RayTune"},
    "early-stopping": {
        "asha": "nas.early_stopping:Asha",
        "hyperband": "nas.early_stopping:Hyperband",
        "incumbent": "nas.early_stopping:Incumbent",
        "median": "nas.early_stopping:Median",
        "none": "nas.early_stopping:Never",
        "plateau": "nas.early_stopping:Plateau",
    },
    "promotion": {"asha": "nas.promotion:Asha", "hyperband": "nas.promotion:Hyperband"},
}
_GROUPS = {
    "strategy": "nas.strategies",
    "space": "nas.spaces",
    "evaluator": "nas.evaluators",
    "executor": "nas.executors",
    "early-stopping": "nas.early_stopping",
    "promotion": "nas.promotion",
}


def names(kind: Kind) -> list[str]:
    """List every registered name of a kind, those of installed entry points included."""
    return sorted({*BUILT_IN[kind], *(point.name for point in importlib.metadata.entry_points(group=_GROUPS[kind]))})


def load(kind: Kind, name: str) -> Any:
    """Load the class (or function) that a name stands for.

    Raises:
        UserError: the name is unknown, or ``module:Class`` cannot be imported.
    """
    if name in BUILT_IN[kind]:
        return _import(kind, name, BUILT_IN[kind][name])
    for point in importlib.metadata.entry_points(group=_GROUPS[kind]):
        if point.name == name:
            return point.load()
    if ":" in name:
        return _import(kind, name, name)
    raise unknown_name(f"--{kind}", name, [*names(kind), "module:Class"])


def _import(kind: Kind, name: str, path: str) -> Any:
    return check_kind(kind, name, import_part(f"--{kind}", name, path))


_METHODS: dict[Kind, tuple[str, ...]] = {
    "strategy": ("ask", "tell", "recommend", "descends"),
    "space": ("grow", "validate", "hyperparameters", "build", "describe"),
    "evaluator": ("make_evaluator", "usual_epochs"),
    "executor": ("run", "check", "isolated"),
    "early-stopping": ("reason_to_stop",),
    "promotion": ("begin", "promote", "advance", "find_needed"),
}


_SUBCLASSES: dict[Kind, str] = {
    "strategy": "a subclass of nas.core.strategy.Strategy with ask, tell and recommend",
    "evaluator": "a subclass of nas.core.evaluator.Evaluator or evaluators.task.Task",
    "executor": "a subclass of nas.core.executor.Executor",
}


def check_kind(kind: Kind, name: str, thing: Any) -> Any:
    """Check that a thing is a class or an object with its kind's methods, or a function that makes one; return it.

    Raises:
        UserError: it is none of these.
    """
    if inspect.isfunction(thing):
        return thing
    missing = [method for method in _METHODS[kind] if not hasattr(thing, method)]
    if missing:
        fits = _SUBCLASSES.get(kind, f"a class with {', '.join(_METHODS[kind])}")
        raise UserError(f"--{kind}", name, fits, why=f"has no {missing[0]}")
    return thing


def make(kind: Kind, name: str, constructor: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    """Call a class or a user's function, and check what it makes.

    Raises:
        UserError: it does not take these arguments, or makes something of another kind.
    """
    try:
        made = constructor(*args, **keywords)
    except TypeError as error:
        raise UserError(f"--{kind}", name, f"what takes the arguments of its kind, {kind}", why=str(error)) from error
    return check_kind(kind, name, made)


_OF_ALL = ("space", "seed", "trials", "make", "objective", "epochs")
_ANY = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True)
class Option:
    """One option of a strategy, early stopping or an executor: an argument of its constructor, annotated with help."""

    name: str
    type: Any
    default: Any
    help: str


def options(constructor: Callable[..., Any]) -> dict[str, Option]:
    """The options of a strategy, a rule or an executor: its arguments but those that all are made with."""
    hints = typing.get_type_hints(
        constructor.__init__ if inspect.isclass(constructor) else constructor, include_extras=True
    )
    found = {}
    for parameter in inspect.signature(constructor).parameters.values():
        if parameter.name in _OF_ALL or parameter.kind in _ANY:
            continue
        hint, text = hints.get(parameter.name, str), ""
        if typing.get_origin(hint) is typing.Annotated:
            hint, text = typing.get_args(hint)
        found[parameter.name] = Option(parameter.name, hint, parameter.default, text)
    return found


def make_strategy(
    constructor: Callable[..., Any],
    name: str,
    space: SearchSpace,
    *,
    seed: int,
    trials: int,
    given: Mapping[str, Any],
    **parts: Any,
) -> Strategy:
    """A new strategy with the options given, texts converted to the types the options have, and parts as they are.

    Raises:
        UserError: an unknown option, or a value it does not take.
    """
    converted = convert_options("--set", constructor, name, given)
    strategy: Strategy = make("strategy", name, constructor, space, seed=seed, trials=trials, **converted, **parts)
    return strategy


def make_early_stopping(
    constructor: Callable[..., Any],
    name: str,
    objective: Objective,
    *,
    epochs: int,
    seed: int,
    given: Mapping[str, Any],
) -> EarlyStopping:
    """A rule of early stopping with the options given, as `make_strategy` makes a strategy.

    Raises:
        UserError: an unknown option, or a value it does not take.
    """
    converted = convert_options("--stop-set", constructor, name, given)
    rule: EarlyStopping = make("early-stopping", name, constructor, objective, epochs=epochs, seed=seed, **converted)
    return rule


def convert_options(where: str, constructor: Callable[..., Any], name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Convert the options given, which may be texts, to the types that they have.

    Args:
        where: the user's option that they were given with: ``--set``.

    Raises:
        UserError: an unknown option, or a value it does not take.
    """
    known = options(constructor)
    check_options(where, name, given, known)
    return {option: _convert(f"{where} {option}", value, known[option].type) for option, value in given.items()}


def check_options(where: str, name: str, given: Mapping[str, Any], known: Mapping[str, Option]) -> None:
    """Refuse options that `name` does not have; `where` is the user's option that they were given with.

    Raises:
        UserError: with the nearest name.
    """
    if unknown := set(given) - set(known):
        raise unknown_name(f"{where} ({name})", min(unknown), known)


def make_executor(name: str, given: Mapping[str, Any]) -> Executor:
    """A new executor with the options given, those of ``nas search`` that its constructor takes.

    One worker is what an executor has that knows of no workers.

    Raises:
        UserError: the name is unknown, or an option that it does not take.
    """
    constructor = load("executor", name)
    known = options(constructor) if given else {}
    for option, value in given.items():
        if option not in known and (option, value) != ("workers", 1):
            why = f"--executor {name} has no such option"
            raise UserError(f"--{option.replace('_', '-')}", value, "--executor ray with it", why=why)
    made: Executor = make("executor", name, constructor, **{n: value for n, value in given.items() if n in known})
    return made


def _convert(option: str, value: Any, hint: Any) -> Any:
    choices = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    for kind in choices:
        if kind is type(None):
            if value is None or value == "none":
                return None
        elif typing.get_origin(kind) is Literal:
            for literal in typing.get_args(kind):
                if str(value) == str(literal):  # on the command line numbers are texts
                    return literal
        elif kind is bool:
            if str(value).lower() in ("true", "false", "yes", "no"):
                return str(value).lower() in ("true", "yes")
        elif kind in (int, float, str) and not isinstance(value, bool):
            try:
                return kind(str(value))
            except ValueError:
                continue
    raise UserError(option, value, describe_type(hint))


def describe_type(hint: Any) -> str:
    """What an option takes, in words."""
    words = {
        int: "a whole number",
        float: "a number",
        bool: "true or false",
        str: "a text",
        type(None): "none",
    }
    if typing.get_origin(hint) is Literal:
        return ", ".join(str(value) for value in typing.get_args(hint))
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(describe_type(kind) for kind in typing.get_args(hint))
    return words.get(hint, str(hint))
