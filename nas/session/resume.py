"""``nas resume``: a run goes on, after an interruption or for more trials."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas.config import EXECUTOR_OPTIONS, RunConfig
from nas.core.errors import UserError
from nas.session.assembly import assemble
from nas.session.data import check_same_data
from nas.session.execution import Progress, check_executor, run_search
from nas.session.given import NO_OBJECTS, Given
from nas.study.configuration import find_space_version, load_assumptions, load_config
from nas.study.run import Run
from nas.study.study import Study


def resume_run(
    path: Path,
    *,
    trials: int | None = None,
    who: Mapping[str, Any] | None = None,
    given: Given = NO_OBJECTS,
    progress: Progress | None = None,
) -> Run:
    """Go on with a run that was interrupted, or that shall have more trials.

    Args:
        trials: the new number of trials in all; by default what the run was last asked for.
        who: the executor and its options for this session, by their names in Python; by default those of the run.

    Raises:
        UserError: no such run, it is in use, or its data has changed.
        ReplayMismatch: the strategy no longer proposes what it did.
    """
    config = load_config(path)
    if config.early_stopping is None:  # it was begun before there was any
        config = config.model_copy(update={"early_stopping": "none"})
    if who:
        fields = ("executor", *EXECUTOR_OPTIONS)
        chosen = RunConfig.checked(dict(who))
        config = config.model_copy(update={name: getattr(chosen, name) for name in fields})
    if trials is not None and config.genotype is not None:
        raise UserError("--trials", trials, "runs that search", why=f"{path.name} is a training, of one trial")
    if trials is not None:
        trials = RunConfig.checked({"trials": trials}).trials
    study = Study.reopen(path)
    try:
        parts = assemble(config, given, load_assumptions(study), find_space_version(study))
        study.space = parts.space
        check_same_data(path, config, parts.data, study.notes.get("data"))
        if trials is not None:
            done = sum(trial.counted for trial in study.trials())
            if trials < done:
                raise UserError("--trials", trials, f"{done} or more", why=f"{done} trials were begun already")
            study.note("trials", trials)
        check_executor(parts)
        run = Run(study, config, parts)
        run.remember_data()
        return run_search(run, progress)
    finally:
        study.close()
