"""``nas search`` and ``nas train``: a new run, in a folder of its own."""

from __future__ import annotations

import json
import re
import time
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime

from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.trial import Trial
from nas.data.catalogue import absolute_name
from nas.session.assembly import assemble, load_data_first
from nas.session.continuing import find_known, note_known, record_known, refuse_other_effort
from nas.session.environment import ENVIRONMENT_FILE, describe_environment
from nas.session.execution import Progress, check_executor, run_search
from nas.session.given import NO_OBJECTS, Given
from nas.session.lookup import find_best_genotypes, find_genotype, list_run_names
from nas.session.restrictions import fit_space, fix_architecture, load_space
from nas.study.remote.working_copy import publish_run, refuse_taken_name
from nas.study.run import Run
from nas.study.study import Study
from nas.trackers.tracker import find_tracker


def start_run(
    config: RunConfig,
    *,
    given: Given = NO_OBJECTS,
    progress: Progress | None = None,
    began: float | None = None,
) -> Run:
    """Search as configured, or train the genotype that is configured, in a new folder, and export the best.

    Args:
        began: when the command began, by `time.monotonic`: the time limit counts from then on. By default, now.

    Raises:
        UserError: bad input; nothing has been written.
        KeyboardInterrupt: stopped by the user; what is finished is kept, and `resume` goes on.
    """
    began = time.monotonic() if began is None else began
    source = config.from_
    if source is not None and config.genotype is None:
        genotype = given.genotype or find_genotype(source, config.runs_dir)
        given = load_data_first(config, given)
        assert given.data is not None
        config = fix_architecture(config, genotype, fit_space(load_space(config, given), given.data))
    earlier = config.warm_start
    if earlier is not None and config.continue_ is not None:
        raise UserError("--warm-start", earlier, "--warm-start or --continue", why="cannot be combined with --continue")
    if earlier is not None:
        if config.genotype is not None:
            raise UserError("--warm-start", earlier, "searches", why="a genotype is trained, and nothing searched")
        found = find_best_genotypes(earlier, config.runs_dir, config.trials)
        config = config.model_copy(update={"first": found, "warm_start": None})
    parts, continued = assemble(config, given), None
    known: list[Trial] = []
    if config.continue_ is not None:
        continued, known = find_known(config, parts)
        config = note_known(config, continued, known)
        parts = assemble(config, replace(given, data=parts.data))
    names = zip(("dataset", "dataset_b"), config.data_sets, strict=False)
    absolute = {option: absolute_name(name) for option, name in names}
    config = config.model_copy(
        update={
            "epochs": parts.epochs,
            "early_stopping": parts.early_stopping_name,
            **parts.decided,
            **absolute,
        }
    )
    if continued is not None:
        refuse_other_effort(config, continued)
    if config.runs_dir.exists() and not config.runs_dir.is_dir():
        raise UserError("--runs-dir", str(config.runs_dir), "a folder", why="is a file")
    parts.make_strategy(parts.space)  # options that do not fit are refused before a folder is made
    check_executor(parts)
    for tracker in config.track:
        find_tracker(tracker)
    path = config.runs_dir / (config.name or _find_free_name(config))
    refuse_taken_name(path)
    environment = json.dumps(describe_environment(parts.device, parts.evaluator), indent=2, sort_keys=True) + "\n"
    files = {"config.yaml": config.to_yaml(), ENVIRONMENT_FILE: environment}
    study = Study.create(path, parts.space, parts.objectives, files)
    run = Run(study, config, parts)
    try:
        run.remember_data()
        if source is not None:
            study.note("from", source)
        if continued is not None:
            record_known(study, continued, known, parts)
        publish_run(path)
        return run_search(run, progress, began=began)
    finally:
        study.close()


def _find_free_name(config: RunConfig) -> str:
    data = "-".join(_plain_text(name.rpartition("/")[2]) or "data" for name in config.data_sets)
    strategy = _plain_text(config.strategy.rpartition(":")[2]) or "strategy"
    stem = f"{data[:40]}-{strategy[:40]}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    taken = list_run_names(config.runs_dir)
    return next(name for n in range(1, 1000) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)


def _plain_text(text: str) -> str:
    """Reduce a text to what a run's name may hold: letters, digits and dashes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
