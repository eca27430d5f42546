"""The Python interface: as short as the command line."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import run as runs
from nas.config import RunConfig
from nas.core.evaluator import Evaluator
from nas.core.space import SearchSpace
from nas.core.strategy import Strategy
from nas.run import Given, Run, open_run

if TYPE_CHECKING:
    import numpy as np

    from evaluators.images import ImageData

__all__ = ["open_run", "resume", "search"]


def search(
    space: str | SearchSpace = "autoencoder",
    data: str | ImageData | Mapping[str, np.ndarray] = "digits",
    strategy: str | Callable[..., Strategy] = "evolution",
    trials: int = 30,
    *,
    evaluator: str | Callable[..., Evaluator] | None = None,
    **options: Any,
) -> Run:
    """Search, export the best, and give the run.

    Args:
        space: a name, ``module:Class``, or a search space.
        data: a data set's name, an ImageData, or arrays by the names ``x_train`` and, as you have them,
            ``y_train``, ``x_test``, ``y_test``: (N, H, W) or (N, H, W, C), uint8 or floats in [0, 1].
        strategy: a name, ``module:Class``, or what makes a strategy, called as
            ``strategy(space, seed=..., trials=..., **set)``.
        evaluator: a name, ``module:Class``, or what makes an evaluator, called as
            ``evaluator(space, data, epochs=..., device=...)``.
        options: every other option of ``nas search``, by its name with underscores: ``pin={"latent": 16}``,
            ``restrict={"width": [8, 16]}``, ``set={"population": 10}``, ``objective="ssim"``, ``epochs=3``.

    Raises:
        UserError: bad input.
    """
    config, given = _told(space, data, strategy, evaluator, {"trials": trials, **options})
    return runs.start(config, given=given)


def resume(
    run: str | Path | Run,
    *,
    trials: int | None = None,
    space: SearchSpace | None = None,
    data: ImageData | Mapping[str, np.ndarray] | None = None,
    strategy: Callable[..., Strategy] | None = None,
    evaluator: Callable[..., Evaluator] | None = None,
) -> Run:
    """Go on with a run, up to `trials` in all; objects that it was begun with must be given again.

    Raises:
        UserError: no such run, it is in use, or its data has changed.
        ReplayMismatch: the strategy no longer proposes what was recorded.
    """
    path = run.path if isinstance(run, Run) else Path(run)
    config = RunConfig.checked({"seed": 0}) if data is None else open_run(path).config
    given = Given(space, None if data is None else _image_data(data, config), strategy, evaluator)
    return runs.resume(path, trials=trials, given=given)


def _told(space: Any, data: Any, strategy: Any, evaluator: Any, options: dict[str, Any]) -> tuple[RunConfig, Given]:
    named = {
        "space": _name(space),
        "dataset": data if isinstance(data, str) else getattr(data, "name", "arrays"),
        "strategy": _name(strategy),
        "evaluator": None if evaluator is None else _name(evaluator),
    }
    config = RunConfig.checked(options | named)
    return config, Given(
        space=None if isinstance(space, str) else space,
        data=None if isinstance(data, str) else _image_data(data, config),
        strategy=None if isinstance(strategy, str) else strategy,
        evaluator=None if evaluator is None or isinstance(evaluator, str) else evaluator,
    )


def _name(thing: Any) -> str:
    """A name as it is; of an object what would import its class, for the record."""
    if isinstance(thing, str):
        return thing
    kind = thing if inspect.isclass(thing) or inspect.isfunction(thing) else type(thing)
    return f"{kind.__module__}:{kind.__qualname__}"


def _image_data(data: Any, config: RunConfig) -> ImageData:
    from evaluators.data import from_arrays
    from evaluators.images import ImageData

    if isinstance(data, ImageData):
        return data
    return from_arrays(data, seed=config.seed, train_size=config.train_size, image_size=config.image_size)
