"""What the Python interface is given: names and options for the configuration, and objects as they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import registry
from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.strategy import Strategy
from nas.data.reading import GIVEN_AS_OBJECT
from nas.session.given import ARRAYS, Given
from nas.study.run import Candidate, Run

if TYPE_CHECKING:
    from nas.data.dataset import Dataset


def configure_search(
    space: Any, data: Any, data_b: Any, strategy: Any, evaluator: Any, early_stopping: Any, options: dict[str, Any]
) -> tuple[RunConfig, Given]:
    """Turn the arguments of a search into its configuration, and into the objects among them.

    Raises:
        UserError: bad input.
    """
    named = {
        "space": name_object(space),
        "dataset": name_data("data", data),
        "dataset_b": None if data_b is None else name_data("data_b", data_b),
        "strategy": name_object(strategy),
        "evaluator": None if evaluator is None else name_object(evaluator),
        "early_stopping": None if early_stopping is None else name_object(early_stopping),
    }
    if isinstance(earlier := options.get("warm_start"), Run):
        named["warm_start"] = str(earlier.path)
    source, genotype = _split_architecture(options.get("from_"))
    if source is not None:
        named["from_"] = source
    config = RunConfig.checked(options | named)
    refuse_options_of_files(config, data)
    given = collect_objects(config, space, data, data_b, strategy, evaluator, early_stopping)
    return config, replace(given, genotype=genotype)


def name_data(argument: str, data: Any) -> str:
    """Name data that was given as this argument.

    Raises:
        UserError: it is no data.
    """
    from nas.data.dataset import Dataset

    if isinstance(data, str):
        return data
    if not isinstance(data, (Mapping, Dataset, tuple)) and not hasattr(data, "__array__"):
        allowed = "a data set's name, a Dataset, an array or tensor, a pair (x, y), or a dictionary with x_train"
        raise UserError(argument, type(data).__name__, allowed)
    return data.name if isinstance(data, Dataset) else ARRAYS


def refuse_options_of_files(config: RunConfig, data: Any) -> None:
    """Refuse options of reading files where data are an object.

    Raises:
        UserError: naming the option.
    """
    from nas.data.dataset import Dataset

    if not isinstance(data, str):
        config.reading.refuse_others(() if isinstance(data, Dataset) else ("image_shape", "kind"), why=GIVEN_AS_OBJECT)


def _split_architecture(given: Any) -> tuple[Any, Genotype | None]:
    """What ``from_`` is called, and its genotype where it is an object that has one."""
    if isinstance(given, Run):
        given = given.best
    if isinstance(given, Candidate):
        return f"{given.run.path}:{given.number}", given.genotype
    if isinstance(given, Genotype):
        return f"genotype {given.id}", given
    return str(given) if isinstance(given, Path) else given, None


def collect_objects(
    config: RunConfig, space: Any, data: Any, data_b: Any, strategy: Any, evaluator: Any, early_stopping: Any = None
) -> Given:
    """Collect objects as they are, classes of spaces made, and what is made already of the other kinds as well."""
    if inspect.isclass(space):
        space = registry.make("space", name_object(space), space)
    things: dict[registry.Kind, Any] = {
        "space": space, "strategy": strategy, "evaluator": evaluator, "early-stopping": early_stopping
    }  # fmt: skip
    for kind, thing in things.items():
        if thing is None or isinstance(thing, str):
            things[kind] = None
        elif kind == "space" or inspect.isclass(thing):
            registry.check_kind(kind, name_object(thing), thing)
        elif not callable(thing):
            made = registry.check_kind(kind, name_object(thing), thing)
            things[kind] = _make_constant(made)
    return Given(
        space=things["space"],
        data=None if data is None or isinstance(data, str) else make_data_set(data, config),
        data_b=None if data_b is None or isinstance(data_b, str) else make_data_set(data_b, config),
        strategy=things["strategy"],
        ready_strategy=strategy if isinstance(strategy, Strategy) else None,
        evaluator=things["evaluator"],
        early_stopping=things["early-stopping"],
    )


def _make_constant(made: Any) -> Callable[..., Any]:
    def make(*args: Any, **keywords: Any) -> Any:
        return made

    return make


def name_object(thing: Any) -> str:
    """Give a name as it is; of an object what would import its class, for the record."""
    if isinstance(thing, str):
        return thing
    kind = thing if inspect.isclass(thing) or inspect.isfunction(thing) else type(thing)
    return f"{kind.__module__}:{kind.__qualname__}"


def make_data_set(data: Any, config: RunConfig) -> Dataset:
    """Make a data set of what was given as an object, with labels that may be seen and anomalies as configured."""
    from nas.data.dataset import Dataset
    from nas.data.loading import load_arrays
    from nas.data.splitting import hide_labels, keep_normal

    if isinstance(data, Dataset):
        return hide_labels(keep_normal(data, config.normal), config.labelled, config.seed)
    return load_arrays(data, normal=config.normal, labelled=config.labelled, **config.data_options)
