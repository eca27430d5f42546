"""``nas prune``: smaller versions of a finished run's trials, made as further trials of the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.job import PruneChannels
from nas.session.assembly import assemble
from nas.session.execution import Progress, run_search
from nas.session.given import NO_OBJECTS, Given
from nas.session.option_checks import check_prunable
from nas.study.configuration import find_space_version, load_assumptions, load_config
from nas.study.run import Run
from nas.study.study import Study


def prune_run(
    path: Path,
    ratios: Sequence[float],
    *,
    trial: int | None = None,
    given: Given = NO_OBJECTS,
    progress: Progress | None = None,
) -> Run:
    """Make versions of a finished run's trial without these shares of its channels, as trials of the run.

    Args:
        trial: its number; by default that of the best, or of several objectives of all members of the front.

    Raises:
        UserError: bad ratios, a trial that cannot be pruned, or a run that is in use or not at its end.
    """
    config = load_config(path)
    config = config.model_copy(update={"prune": RunConfig.checked({"prune": list(ratios)}).prune})
    study = Study.reopen(path)
    try:
        parts = assemble(config, given, load_assumptions(study), find_space_version(study))
        check_prunable(parts.evaluator, parts.space, config)
        study.space = parts.space
        run = Run(study, config.model_copy(update={"prune": []}), parts)
        if not run.finished or config.genotype is not None:
            why = "is a training" if config.genotype is not None else "has not come to its end"
            raise UserError("RUN", str(path), "a search at its end; nas resume goes on with it", why=why)
        _note_ratios(run, tuple(config.prune), trial)
        return run_search(run, progress, searching=False)
    finally:
        study.close()


def _note_ratios(run: Run, ratios: tuple[float, ...], trial: int | None) -> None:
    """Note in the run what is to be pruned; see `prune_run`."""
    if trial is not None:
        chosen = [run.candidate(trial)]
    elif len(run.objectives) == 1:
        chosen = [run.candidate(None).unpruned]
    else:
        chosen = [
            run.candidate(number) for number in {run.candidate(one.number).unpruned.number for one in run.front()}
        ]
        chosen = [one for one in chosen if run.study.weights_path(one.number).is_file()]
    asked: dict[str, list[float]] = dict(run.study.notes.get("prune", {}))
    for candidate in chosen:
        number, own = str(candidate.number), candidate.trial
        if isinstance(own.job, PruneChannels):
            fits = f"trials that were searched, such as {candidate.unpruned.number}, which it is a version of"
            raise UserError("--trial", candidate.number, fits, why="is pruned")
        if own.outcome is None or not own.outcome.scored:
            raise UserError("--trial", candidate.number, "trials that succeeded", why="did not succeed")
        candidate.model()  # refuses where the weights were not kept
        asked[number] = sorted({*asked.get(number, ()), *ratios})
    run.study.note("prune", asked)
