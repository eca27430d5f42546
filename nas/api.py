"""The Python interface: as short as the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.config import EXECUTOR_OPTIONS
from nas.core.early_stopping import EarlyStopping
from nas.core.errors import UserError, unknown_name
from nas.core.evaluator import BOUND_SAMPLES, Evaluator, Examination
from nas.core.genotype import Genotype
from nas.core.space import SearchSpace
from nas.core.strategy import Strategy
from nas.session import delivery
from nas.session.arguments import collect_objects, configure_search, name_data, name_object, refuse_options_of_files
from nas.session.continuing import make_continued_config
from nas.session.evaluate import evaluate_trial
from nas.session.lookup import open_run as open_run_in
from nas.session.prune import prune_run
from nas.session.replay import Replay, replay_trial
from nas.session.resume import resume_run
from nas.session.start import start_run
from nas.session.train import DATA_OPTIONS, make_training_config
from nas.study.configuration import load_config
from nas.study.remote.working_copy import locate_run
from nas.study.run import Candidate, Run

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from nas.data.dataset import Dataset
    from nas.report.comparing import Comparison

    Array = np.ndarray | Tensor
    Arrays = Array | tuple[Array, Array] | tuple[tuple[Array, Array], tuple[Array, Array]] | Mapping[str, Array]

__all__ = ["compare", "evaluate", "open_run", "prune", "resume", "search", "train"]


def _draw(run: Run) -> str:
    from nas.report.notebook import draw_run  # charts and templates, which few need

    return draw_run(run)


Run.draw = _draw


def search(
    space: str | SearchSpace = "autoencoder",
    data: str | Dataset | Arrays = "digits",
    strategy: str | Callable[..., Strategy] = "evolution",
    trials: int = 30,
    *,
    data_b: str | Dataset | Arrays | None = None,
    evaluator: str | Callable[..., Evaluator] | None = None,
    early_stopping: str | Callable[..., EarlyStopping] | None = None,
    **options: Any,
) -> Run:
    """Search, export the best, and give the run.

    Args:
        space: a name, ``module:Class``, or a search space.
        data: a data set's name, a Dataset, or NumPy arrays or tensors: the examples, a pair ``(x, y)`` with their
            labels, two pairs to train and to test, or a mapping with ``x_train`` and, as you have them, ``y_train``,
            ``x_test``, ``y_test``. Images are (N, H, W), (N, H, W, C) or (N, C, H, W); ``npz:PATH`` in
            ``nas datasets`` says which values are taken. ``label``, ``drop``, ``columns`` and ``group`` among the
            options say what of a table by its name is used.
        strategy: a name, ``module:Class``, a strategy, or what makes one, called as
            ``strategy(space, seed=..., trials=..., **set)``.
        data_b: the other set of images, in the same ways, for spaces that translate between two (``cyclegan``).
        evaluator: a name, ``module:Class``, an evaluator, or what makes one, called as
            ``evaluator(space, data, epochs=..., device=...)``.
        early_stopping: a name (``asha``, ``hyperband``, ``incumbent``, ``median``, ``plateau``, ``none``),
            ``module:Class``, a rule, or what makes one, called as
            ``early_stopping(objective, epochs=..., seed=..., **stop_set)``.
        options: every other option of ``nas search``, by its name with underscores: ``pin={"latent": 16}``,
            ``restrict={"width": [8, 16]}``, ``set={"population": 10}``, ``objective=["mse", "parameters"]``,
            ``epochs=3``; ``from_`` also takes a Run, a Candidate or a Genotype, and ``warm_start`` a Run.

    Raises:
        UserError: bad input.
    """
    config, given = configure_search(
        space, data, data_b, strategy, evaluator, early_stopping, {"trials": trials, **options}
    )
    return start_run(config, given=given)


def extend(
    run: str | Path | Run,
    *,
    space: SearchSpace | None = None,
    data: Dataset | Arrays | None = None,
    data_b: Dataset | Arrays | None = None,
    strategy: str | Callable[..., Strategy] | None = None,
    evaluator: Callable[..., Evaluator] | None = None,
    **options: Any,
) -> Run:
    """Search as an earlier run did, but for `options`: a new run, in which its results count that still can.

    As ``nas search --continue``. Results are known where the genotype is in the new space; they are the first trials.

    Args:
        space, data, data_b, evaluator: objects that the run was begun with must be given again; the data must be the
            same. Data are taken from the object `run` as long as it has them.
        strategy: another one.
        options: of ``nas search``, by their names with underscores: ``pin={"latent": 16}``, ``trials=60``.

    Raises:
        UserError: bad input, other data, or no result that counts.
    """
    told = {} if strategy is None else {"strategy": name_object(strategy)}
    asked = {"continue_": str(run.path if isinstance(run, Run) else run), **options, **told}
    config = make_continued_config(asked)
    given = collect_objects(config, space, data, data_b, strategy, evaluator)
    if (
        data is data_b is None
        and isinstance(run, Run)
        and run.loaded is not None
        and not set(options) & {*DATA_OPTIONS}
    ):
        given = replace(given, data=run.loaded.data)
    return start_run(config, given=given)


def train(
    architecture: str | Path | Run | Candidate | Genotype,
    epochs: int,
    *,
    data: str | Dataset | Arrays | None = None,
    data_b: str | Dataset | Arrays | None = None,
    space: str | SearchSpace | None = None,
    evaluator: str | Callable[..., Evaluator] | None = None,
    **options: Any,
) -> Run:
    """Train one architecture in full, with checkpoints from which `resume` goes on; export it, and give the run.

    Args:
        architecture: a Run, of which the best is trained, a Candidate, a Genotype, or what ``nas train`` takes.
        data, data_b, space, evaluator: as for `search`; by default those of the run. Data that a run was given as an
            object is taken from it as long as the object `run` has it, and must be given again later.
        options: every other option of ``nas train``, by its name with underscores: ``checkpoint_every=10``.

    Raises:
        UserError: bad input.
    """
    if isinstance(architecture, Run):
        architecture = architecture.best
    if not isinstance(architecture, (str, Path, Candidate, Genotype)):
        allowed = "a Run, a Candidate, a Genotype, RUN[:TRIAL] or the file of a genotype"
        raise UserError("architecture", type(architecture).__name__, allowed)
    things = {"space": space, "evaluator": evaluator}
    told = {option: name_object(thing) for option, thing in things.items() if thing is not None}
    sets = {"data": data, "data_b": data_b}
    told |= {f"dataset{key[4:]}": name_data(key, thing) for key, thing in sets.items() if thing is not None}
    asked = {"epochs": epochs, **options, **told}
    config = make_training_config(str(architecture) if isinstance(architecture, Path) else architecture, asked)
    if data is not None:
        refuse_options_of_files(config, data)
    given = collect_objects(config, space, data, data_b, None, evaluator)
    if data is data_b is None and isinstance(architecture, Candidate) and not set(options) & {"seed", *DATA_OPTIONS}:
        loaded = architecture.run.loaded
        given = replace(given, data=None if loaded is None else loaded.data)
    return start_run(config, given=given)


def resume(
    run: str | Path | Run,
    *,
    trials: int | None = None,
    space: SearchSpace | None = None,
    data: Dataset | Arrays | None = None,
    data_b: Dataset | Arrays | None = None,
    strategy: Callable[..., Strategy] | None = None,
    evaluator: Callable[..., Evaluator] | None = None,
    early_stopping: Callable[..., EarlyStopping] | None = None,
    **who: Any,
) -> Run:
    """Go on with a run, up to `trials` in all; objects that it was begun with must be given again.

    Args:
        who: ``executor``, ``workers`` and the other options of who evaluates, if this session's are to be others.

    Raises:
        UserError: no such run, it is in use, or its data has changed.
        ReplayMismatch: the strategy no longer proposes what was recorded.
    """
    path = run.path if isinstance(run, Run) else locate_run(run)
    for option in who:
        if option not in (known := ("executor", *EXECUTOR_OPTIONS)):
            raise unknown_name("option of resuming", option, known)
    given = collect_objects(load_config(path), space, data, data_b, strategy, evaluator, early_stopping)
    return resume_run(path, trials=trials, who=who, given=given)


def prune(
    run: str | Path | Run,
    ratios: Sequence[float],
    *,
    trial: int | None = None,
    space: SearchSpace | None = None,
    data: Dataset | Arrays | None = None,
    data_b: Dataset | Arrays | None = None,
    evaluator: Callable[..., Evaluator] | None = None,
) -> Run:
    """Make versions of a trial without these shares of its channels, as trials of the run; as ``nas prune``.

    Args:
        trial: its number; by default that of the best, or of several objectives of all members of the front.
        space, data, data_b, evaluator: objects that the run was begun with must be given again.

    Raises:
        UserError: bad ratios, a trial that cannot be pruned, or a run that is in use or not at its end.
    """
    path = run.path if isinstance(run, Run) else locate_run(run)
    given = collect_objects(load_config(path), space, data, data_b, None, evaluator)
    return prune_run(path, ratios, trial=trial, given=given)


def evaluate(
    run: str | Path | Run,
    trial: int | None = None,
    *,
    bound_samples: int = BOUND_SAMPLES,
    space: SearchSpace | None = None,
    data: Dataset | Arrays | None = None,
    evaluator: Callable[..., Evaluator] | None = None,
) -> Examination:
    """Judge a trained autoencoder by what it is used for, on the test part; as ``nas evaluate``.

    Args:
        trial: its number; by default that of the best.
        bound_samples: codes of an example that its likelihood is bounded by, of variational models.
        space, data, evaluator: objects that the run was begun with must be given again, unless the object `run` has
            them.

    Raises:
        UserError: a run of other models, a trial without weights, or a run that is in use.
    """
    path = run.path if isinstance(run, Run) else locate_run(run)
    anew = any(thing is not None for thing in (space, data, evaluator))
    loaded = run.loaded if isinstance(run, Run) and not anew else None
    given = collect_objects(load_config(path), space, data, None, None, evaluator)
    return evaluate_trial(path, trial, bound_samples=bound_samples, given=given, loaded=loaded)[2]


def replay(
    run: str | Path | Run,
    trial: int | None = None,
    *,
    space: SearchSpace | None = None,
    data: Dataset | Arrays | None = None,
    data_b: Dataset | Arrays | None = None,
    evaluator: Callable[..., Evaluator] | None = None,
) -> Replay:
    """Train a trial again from its record and compare the numbers, without changing the run; as ``nas replay``.

    Args:
        trial: its number; by default that of the best.
        space, data, data_b, evaluator: objects that the run was begun with must be given again, unless the object
            `run` has them.

    Raises:
        UserError: no such trial, it was not trained or has not ended, or what it needs is no longer there.
    """
    path = run.path if isinstance(run, Run) else locate_run(run)
    anew = any(thing is not None for thing in (space, data, data_b, evaluator))
    loaded = run.loaded if isinstance(run, Run) and not anew else None
    given = collect_objects(load_config(path), space, data, data_b, None, evaluator)
    return replay_trial(path, trial, given=given, loaded=loaded)


def compare(
    runs: Sequence[str | Path | Run], *, group: str | None = None, html: str | Path | None = None
) -> Comparison:
    """Compare runs on the same data with the same objectives, as ``nas compare``: which is better, beyond luck?

    Args:
        group: the option by whose value runs are grouped; by default those are that differ in nothing but their seeds.
        html: the file of a page with the curves, if one shall be written.

    Raises:
        UserError: there is but one, they do not compare, one has no result, or there is no such option.
    """
    opened = [run if isinstance(run, Run) else open_run(run) for run in runs]
    return delivery.compare(opened, group=group, html=None if html is None else Path(html))


def open_run(path: str | Path) -> Run:
    """An existing run, to look at, by its folder or its URL.

    Raises:
        UserError: there is no such run, or the URL cannot be read.
    """
    return open_run_in(locate_run(path))
