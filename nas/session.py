"""A run begun, or gone on with, by this process: the search turned to its end, the best tested and exported."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import platform
import re
import sys
import time
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast

from nas.config import EXECUTOR_OPTIONS, RunConfig, seconds
from nas.core.errors import UserError
from nas.core.evaluator import Continuable, Evaluator, Testable, WithProtocol
from nas.core.search import NoTime, Search, TimeLimit
from nas.core.trial import Measurement, Trial
from nas.data.catalogue import absolute_name
from nas.session.assembly import NO_OBJECTS, Given, Parts, assemble, fix_architecture
from nas.session.checkpoint import FILE, Checkpointed
from nas.session.option_checks import check_prunable
from nas.session.pruned_versions import follow_ups, origin_of
from nas.session.warm_start import forget_checkpoints, start_of
from nas.study.candidate import Candidate
from nas.study.lookup import genotype_from, names_in
from nas.study.remote.working_copy import begin, copied_back, refuse_taken
from nas.study.run import Run, best_first, config_of, recorded_assumptions
from nas.study.study import Study

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Who is shown how a run goes on."""

    def begin(self, run: Run, search: Search) -> None:
        """Once, before the first trial."""

    def measured(self, trial: Trial, measurement: Measurement) -> None:
        """An epoch of a training in full; of a search's trials they are not shown."""

    def ended(self, trial: Trial) -> None:
        """A trial has ended."""


def start(
    config: RunConfig,
    *,
    given: Given = NO_OBJECTS,
    progress: Progress | None = None,
) -> Run:
    """Search as configured, or train the genotype that is configured, in a new folder, and export the best.

    Raises:
        UserError: bad input; nothing has been written.
        KeyboardInterrupt: stopped by the user; what is finished is kept, and `resume` goes on.
    """
    source = config.from_
    if source is not None and config.genotype is None:
        genotype = given.genotype or genotype_from(source, config.runs_dir)
        config = fix_architecture(config, genotype, given)
    parts = assemble(config, given)
    names = zip(("dataset", "dataset_b"), config.data_sets, strict=False)
    absolute = {option: absolute_name(name) for option, name in names}
    config = config.model_copy(update={"epochs": parts.epochs, "early_stopping": parts.early_stopping_name, **absolute})
    if config.runs_dir.exists() and not config.runs_dir.is_dir():
        raise UserError("--runs-dir", str(config.runs_dir), "a folder", why="is a file")
    parts.strategy(parts.space)  # options that do not fit are refused before a folder is made
    _check(parts)
    path = config.runs_dir / (config.name or _free_name(config))
    refuse_taken(path)
    environment = json.dumps(_environment(parts.device), indent=2, sort_keys=True) + "\n"
    files = {"config.yaml": config.to_yaml(), "environment.json": environment}
    study = Study.create(path, parts.space, parts.objectives, files)
    run = Run(study, config, parts)
    try:
        run.remember_data()
        if source is not None:
            study.note("from", source)
        begin(path)
        return _searched(run, progress)
    finally:
        study.close()


def resume(
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
    config = config_of(path)
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
        parts = assemble(config, given, recorded_assumptions(study))
        study.space = parts.space
        recorded = study.notes.get("data")
        if recorded not in (None, found := parts.data.fingerprint):
            raise UserError(
                "RUN",
                str(path),
                f"the data it began with ({recorded})",
                why=f"{' and '.join(config.data_sets)} is now {found}",
            )
        if trials is not None:
            done = sum(trial.proposal.prune is None for trial in study.trials(parts.objectives))
            if trials < done:
                raise UserError("--trials", trials, f"{done} or more", why=f"{done} trials were begun already")
            study.note("trials", trials)
        _check(parts)
        run = Run(study, config, parts)
        run.remember_data()
        return _searched(run, progress)
    finally:
        study.close()


def _check(parts: Parts) -> None:
    """Let an executor that needs more than this process see whether it is there.

    Raises:
        UserError: it is not.
    """
    check = getattr(parts.executor, "check", None)
    if check is not None:
        check(parts.device)


def prune(
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
    config = config_of(path)
    config = config.model_copy(update={"prune": RunConfig.checked({"prune": list(ratios)}).prune})
    study = Study.reopen(path)
    try:
        parts = assemble(config, given, recorded_assumptions(study))
        check_prunable(parts.evaluator, parts.space, config)
        study.space = parts.space
        run = Run(study, config.model_copy(update={"prune": []}), parts)
        if not run.finished or config.genotype is not None:
            why = "is a training" if config.genotype is not None else "has not come to its end"
            raise UserError("RUN", str(path), "a search at its end; nas resume goes on with it", why=why)
        _ask_to_prune(run, tuple(config.prune), trial)
        return _searched(run, progress, searching=False)
    finally:
        study.close()


def _ask_to_prune(run: Run, ratios: tuple[float, ...], trial: int | None) -> None:
    """Note in the run what is to be pruned; see `prune`."""
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
        if own.proposal.prune is not None:
            fits = f"trials that were searched, such as {candidate.unpruned.number}, which it is a version of"
            raise UserError("--trial", candidate.number, fits, why="is pruned")
        if own.outcome is None or not own.outcome.scored:
            raise UserError("--trial", candidate.number, "trials that succeeded", why="did not succeed")
        candidate.model()  # refuses where the weights were not kept
        asked[number] = sorted({*asked.get(number, ()), *ratios})
    run.study.note("prune", asked)


def _searched(run: Run, progress: Progress | None, *, searching: bool = True) -> Run:
    """Run the search to its end, then test and export the best; if not `searching`, only what follows it."""
    with copied_back(run.path) as copy:
        return _turned(run, progress, copy, searching=searching)


def _turned(run: Run, progress: Progress | None, copy: Callable[[], None], *, searching: bool) -> Run:
    """As `_searched`; `copy` is called whenever there is something new that must not be lost."""
    parts, config, study = run.parts, run.config, run.study
    _measure_alike(run)

    heirs = parts.space if config.weight_sharing == "inherit" else None
    search = Search(
        parts.space,
        parts.strategy(parts.space),
        parts.objectives,
        study,
        seed=config.seed,
        trials=run.target,
        history=study.history(parts.objectives),
        max_failures=config.max_failures if searching else None,
        limit=TimeLimit(None if config.time_limit is None else seconds(config.time_limit)) if searching else NoTime(),
        early_stopping=parts.early_stopping,
        start=lambda trial: start_of(trial, search, study, heirs),
        follow_up=follow_ups(
            tuple(config.prune),
            {int(number): tuple(ratios) for number, ratios in study.notes.get("prune", {}).items()},
            lambda: None if search.best is None else search.best.number,
            len(parts.objectives),
            kept=lambda number: study.weights_path(number).is_file(),
        ),
        blame_kills=not getattr(parts.executor, "isolated", False),
    )
    if progress is not None:
        progress.begin(run, search)
    kept: list[Trial] = []

    def keep(trial: Trial) -> None:
        complete = trial.outcome is not None and trial.outcome.kind == "complete" and trial.proposal.prune is None
        if config.keep_weights is None or not complete:  # others have no weights, or a supernet's, which are shared yet
            return
        kept[:] = best_first([*kept, trial])
        if len(kept) > config.keep_weights:
            study.weights_path(kept.pop().number).unlink(missing_ok=True)

    for earlier in search.ended:
        keep(earlier)

    def ended(trial: Trial) -> None:
        keep(trial)
        if trial.proposal.portion is not None:
            forget_checkpoints(search, study)
        copy()
        if progress is not None:
            progress.ended(trial)

    began = time.monotonic()
    try:
        parts.executor.run(search, _evaluator(run, progress, copy), ended)
        (study.path / FILE).unlink(missing_ok=True)
    except KeyboardInterrupt:
        study.interrupted()
        raise
    finally:
        before = study.notes.get("seconds", 0.0)
        study.note("seconds", round(before + time.monotonic() - began, 3))
    run.exhausted = search.exhausted
    if search.best is not None:
        own = search.best.number  # a pruned version of it may even be better
        versions = [t for t in search.ended if t.outcome and t.outcome.scored and origin_of(t, search.ended) == own]
        study.note(
            "recommended", {"number": best_first(versions or [search.best])[0].number, "after": len(search.ended)}
        )
    if run.ranked():
        _finish(run, run.candidate(None))
    study.note("finished", len(search.ended))
    return run


def _measure_alike(run: Run) -> None:
    """Note what the scores depend on, or refuse to rank new ones with those of another protocol.

    Raises:
        UserError: naming what has changed.
    """
    evaluator = run.parts.evaluator
    if not isinstance(evaluator, WithProtocol):
        return
    found, recorded = dict(evaluator.protocol("validation")), run.study.notes.get("protocol")
    if recorded is None:
        run.study.note("protocol", found)
        return
    changed = [name for name in {**recorded, **found} if recorded.get(name) != found.get(name)]
    if changed:
        why = "; ".join(f"their {name} was {recorded.get(name)} and is {found.get(name)} here" for name in changed)
        allowed = "scores that are measured alike; extractors are kept in NAS_DATA_DIR/features"
        raise UserError("RUN", str(run.path), allowed, why=f"does not compare with new scores: {why}")


def _evaluator(run: Run, progress: Progress | None, copy: Callable[[], None]) -> Evaluator:
    """The run's, which of a training goes on from its checkpoint."""
    evaluator, config = run.parts.evaluator, run.config
    if config.genotype is None:
        return evaluator

    def seen(trial: Trial, measurement: Measurement) -> None:
        copy()  # the checkpoint
        if progress is not None:
            progress.measured(trial, measurement)

    continued = cast(Continuable, evaluator)  # assembled so
    return Checkpointed(continued, run.path / FILE, every=config.checkpoint_every, seen=seen)


def _finish(run: Run, best: Candidate) -> None:
    evaluator = run.parts.evaluator
    whole = isinstance(evaluator, Testable) and run.study.weights_path(best.number).is_file()
    if whole and not run.tested:
        run.study.note("test", {"number": best.number, "metrics": best.test()})
    run.report()
    if whole:
        run.export(best)
    elif best.trial.stopped:
        log.warning("no model is exported: no trial was trained to its end, some were stopped early")
    else:
        name = type(evaluator).__name__
        log.warning("no model is exported: %s brings no weights, or has no test and deliverables", name)


def _free_name(config: RunConfig) -> str:
    data = "-".join(_plain(name.rpartition("/")[2]) or "data" for name in config.data_sets)
    strategy = _plain(config.strategy.rpartition(":")[2]) or "strategy"
    stem = f"{data[:40]}-{strategy[:40]}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    taken = names_in(config.runs_dir)
    return next(name for n in range(1, 1000) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)


def _plain(text: str) -> str:
    """A text as part of a run's name: letters, digits and dashes."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")


_PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "optuna",
    "ray",
    "torchmetrics",
    "safetensors",
    "onnx",
    "onnxruntime",
    "nas-generative",
)


def _environment(device: str) -> dict[str, Any]:
    import torch

    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine(),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
