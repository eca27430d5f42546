"""A search turned to its end by this process, and its best tested and delivered."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from nas.config import seconds
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.job import TrainPortion
from nas.core.search import NoTime, Search, TimeLimit
from nas.core.trial import Measurement, Proposal, Trial
from nas.session.checkpoint import FILE, Checkpointed
from nas.session.delivery import export_model, write_report
from nas.session.finals import RESERVE, FinalsOfRun
from nas.session.warm_start import forget_checkpoints, start_of
from nas.study.parts import Parts
from nas.study.pruned_versions import follow_ups, origin_of
from nas.study.remote.working_copy import copied_back
from nas.study.run import Candidate, Run, best_first

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Who is shown how a run goes on."""

    def begin(self, run: Run, search: Search) -> None:
        """Once, before the first trial."""

    def measured(self, trial: Trial, measurement: Measurement) -> None:
        """An epoch of a training in full; of a search's trials they are not shown."""

    def ended(self, trial: Trial) -> None:
        """A trial has ended."""


def check_executor(parts: Parts) -> None:
    """Let an executor that needs more than this process see whether it is there.

    Raises:
        UserError: it is not.
    """
    parts.executor.check(parts.device)


def run_search(run: Run, progress: Progress | None, *, searching: bool = True) -> Run:
    """Run the search to its end, then test and export the best; if not `searching`, only what follows it."""
    with copied_back(run.path) as copy:
        return _run_to_end(run, progress, copy, searching=searching)


def _run_to_end(run: Run, progress: Progress | None, copy: Callable[[], None], *, searching: bool) -> Run:
    """As `run_search`; `copy` is called whenever there is something new that must not be lost."""
    parts, config, study = run.parts, run.config, run.study
    check_protocol(run)

    limit = None if config.time_limit is None else seconds(config.time_limit)
    exploring = limit
    if limit is not None and parts.finalists:
        exploring = max(0.1, (limit - RESERVE) * (1 - config.final_share))
    finals = FinalsOfRun(
        study,
        parts.finalists if searching else 0,
        config.final_share,
        parts.usual,
        best=lambda: None if search.best is None else search.best.number,
        end=None if limit is None else time.monotonic() + limit,
    )

    def best_number() -> int | None:
        best = finals.winner(search.ended) or search.best
        return None if best is None else best.number

    def follow(trials: Sequence[Trial]) -> Proposal | None:
        part = finals.next_part(trials)
        return part if part is not None or finals.running(trials) else pruned_version(trials)

    pruned_version = follow_ups(
        tuple(config.prune),
        {int(number): tuple(ratios) for number, ratios in study.notes.get("prune", {}).items()},
        best_number,
        len(parts.objectives),
        kept=lambda number: study.weights_path(number).is_file(),
    )
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
        limit=TimeLimit(exploring) if searching else NoTime(),
        early_stopping=parts.early_stopping,
        start=lambda trial: start_of(trial, search, study, heirs),
        follow_up=follow,
        blame_kills=not parts.executor.isolated,
    )
    if progress is not None:
        progress.begin(run, search)
    kept: list[Trial] = []

    def keep(trial: Trial) -> None:
        complete = trial.outcome is not None and trial.outcome.kind == "complete" and trial.job.counted
        if config.keep_weights is None or not complete:  # others have no weights, or a supernet's, which are shared yet
            return
        kept[:] = best_first([*kept, trial])
        if len(kept) > config.keep_weights:
            study.weights_path(kept.pop().number).unlink(missing_ok=True)

    for earlier in search.ended:
        keep(earlier)

    def ended(trial: Trial) -> None:
        keep(trial)
        if isinstance(trial.job, TrainPortion):
            forget_checkpoints(search, study)
        finals.ended(trial)
        copy()
        if progress is not None:
            progress.ended(trial)

    began = time.monotonic()
    try:
        parts.executor.run(search, _evaluator_with_checkpoint(run, progress, copy), ended)
        (study.path / FILE).unlink(missing_ok=True)
    except KeyboardInterrupt:
        study.interrupted()
        raise
    finally:
        before = study.notes.get("seconds", 0.0)
        study.note("seconds", round(before + time.monotonic() - began, 3))
    run.exhausted = search.exhausted
    best = finals.winner(search.ended) or search.best
    if best is not None:
        own = best.number  # a pruned version of it may even be better
        versions = [t for t in search.ended if t.outcome and t.outcome.scored and origin_of(t, search.ended) == own]
        study.note("recommended", {"number": best_first(versions or [best])[0].number, "after": len(search.ended)})
    if run.ranked():
        deliver_best(run, run.candidate(None))
    study.note("finished", len(search.ended))
    return run


def check_protocol(run: Run) -> None:
    """Note what the scores depend on, or refuse to rank new ones with those of another protocol.

    Raises:
        UserError: naming what has changed.
    """
    evaluator = run.parts.evaluator
    found, recorded = dict(evaluator.protocol("validation")), run.study.notes.get("protocol")
    if recorded is None:
        if found:
            run.study.note("protocol", found)
        return
    changed = [name for name in {**recorded, **found} if recorded.get(name) != found.get(name)]
    if changed:
        why = "; ".join(f"their {name} was {recorded.get(name)} and is {found.get(name)} here" for name in changed)
        allowed = "scores that are measured alike; extractors are kept in NAS_DATA_DIR/features"
        raise UserError("RUN", str(run.path), allowed, why=f"does not compare with new scores: {why}")


def _evaluator_with_checkpoint(run: Run, progress: Progress | None, copy: Callable[[], None]) -> Evaluator:
    """The run's, which of a training goes on from its checkpoint."""
    evaluator, config = run.parts.evaluator, run.config
    if config.genotype is None:
        return evaluator

    def seen(trial: Trial, measurement: Measurement) -> None:
        copy()  # the checkpoint
        if progress is not None:
            progress.measured(trial, measurement)

    return Checkpointed(evaluator, run.path / FILE, every=config.checkpoint_every, seen=seen)


def deliver_best(run: Run, best: Candidate) -> None:
    """Test the best candidate once, write the report, and export it if its weights were kept."""
    evaluator = run.parts.evaluator
    whole = evaluator.delivers and run.study.weights_path(best.number).is_file()
    if whole and not run.tested:
        run.study.note("test", {"number": best.number, "metrics": best.test()})
    write_report(run)
    if whole:
        export_model(run, best)
    elif best.trial.stopped:
        log.warning("no model is exported: no trial was trained to its end, some were stopped early")
    else:
        name = type(evaluator).__name__
        log.warning("no model is exported: %s delivers none, or the weights were not kept", name)
