"""A session with a run: its search runs to its end, and the best is tested and delivered."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from nas.core.durations import parse_duration
from nas.core.errors import UserError
from nas.core.evaluator import Evaluator
from nas.core.job import TrainFinalist, TrainPortion, TrainRung, is_told
from nas.core.search import Hooks, Limits, Search
from nas.core.space import Regularisable
from nas.core.trial import Measurement, Proposal, Trial
from nas.session.checkpoint import CHECKPOINT_FILE, CheckpointingEvaluator
from nas.session.comparison import compare_best
from nas.session.cost_limits import calibrate_latency, make_refusal
from nas.session.delivery import export_model, write_report
from nas.session.environment import keep_threads
from nas.session.evaluate import evaluate_best
from nas.session.final_parts import keep_as_it_is
from nas.session.finals import FinalsHook
from nas.session.plan import find_exploring_seconds, find_final_share, find_training_seconds
from nas.session.promotion import forget_paused, make_promoter
from nas.session.tracking import Tracking
from nas.session.warm_start import forget_checkpoints, load_start
from nas.study.parts import Parts
from nas.study.pruned_versions import find_unpruned, make_follow_up
from nas.study.remote.working_copy import copy_while_running
from nas.study.run import Candidate, Run, sort_trials
from nas.study.study import Study

log = logging.getLogger(__name__)


class Progress(Protocol):
    """Shows how a run goes on."""

    def begin(self, run: Run, search: Search) -> None:
        """Show the run, before its first trial."""

    def show_measurement(self, trial: Trial, measurement: Measurement) -> None:
        """Show an epoch of a training in full; a search does not show those of its trials."""

    def show_trial(self, trial: Trial) -> None:
        """Show a trial that has ended."""


def check_executor(parts: Parts) -> None:
    """Let an executor that needs more than this process see whether it is there.

    Raises:
        UserError: it is not.
    """
    parts.executor.check(parts.device)


def run_search(run: Run, progress: Progress | None, *, searching: bool = True, began: float | None = None) -> Run:
    """Run the search to its end, then test and export the best; if not `searching`, only what follows it.

    Args:
        began: from when on the time limit counts, which ends the finals, by `time.monotonic`; from now on if None.
    """
    began = time.monotonic() if began is None else began
    with copy_while_running(run.path) as copy, keep_threads(run.path, run.parts.evaluator):
        return _run_to_end(run, progress, copy, searching=searching, began=began)


def _run_to_end(run: Run, progress: Progress | None, copy: Callable[[], None], *, searching: bool, began: float) -> Run:
    """As `run_search`; `copy` is called whenever there is something new that must not be lost."""
    check_protocol(run)
    calibrate_latency(run)
    tracking = Tracking(run.config, run.path.name)
    finals = _make_finals(run, searching=searching, began=began)
    search = _make_search(run, finals, searching=searching)
    if progress is not None:
        progress.begin(run, search)
    weights = _WeightsOfTheBest(run.study, run.config.keep_weights)
    for trial in search.ended:
        weights.remove_worst(trial)

    def end_trial(trial: Trial) -> None:
        weights.remove_worst(trial)
        if isinstance(trial.job, TrainPortion):
            forget_checkpoints(search, run.study)
        if run.parts.promotion is not None and isinstance(trial.job, TrainRung):
            forget_paused(run.parts.promotion, search, run.study)
        finals.forget_checkpoints(search, trial)
        copy()
        tracking.log_trial(run, trial)
        if progress is not None:
            progress.show_trial(trial)

    with _note_seconds(run.study):
        run.parts.executor.run(search, _add_checkpoints(run, progress, tracking, copy), end_trial)
        (run.path / CHECKPOINT_FILE).unlink(missing_ok=True)
    run.exhausted = search.exhausted
    _note_recommended(run.study, search, finals.find_best(search))
    if run.ranked():
        deliver_best(run, best := run.candidate(None))
        if run.config.evaluate and run.parts.evaluator.examines and run.study.weights_path(best.number).is_file():
            limit = run.config.time_limit
            evaluate_best(run, best, None if limit is None else began + parse_duration(limit))
    run.study.note("finished", len(search.ended))
    tracking.close(run)
    return run


def _make_finals(run: Run, *, searching: bool, began: float) -> FinalsHook:
    """The finals of a run; if not `searching`, none begin."""
    parts, config = run.parts, run.config
    limit = None if config.time_limit is None else began + find_training_seconds(parse_duration(config.time_limit))
    count = (config.finalists or 0) if searching else 0
    exploring, timed = find_exploring_seconds(config), config.candidate_time is not None
    return FinalsHook(
        run.study, count, find_final_share(config), parts.usual, limit, exploring, timed=timed,
        starts_later=parts.executor.announces_start,
        regularise=parts.space.regularise if isinstance(parts.space, Regularisable) else keep_as_it_is,
    )  # fmt: skip


def _make_search(run: Run, finals: FinalsHook, *, searching: bool) -> Search:
    """The search of a run, its earlier sessions replayed; if not `searching`, no trial of the strategy begins."""
    parts, config, study = run.parts, run.config, run.study
    heirs = parts.space if config.weight_sharing == "inherit" else None
    limits = Limits(run.target, over=lambda: True)
    if searching:
        limits = Limits(run.target, config.max_failures, lambda: finals.end_exploring(search))
    asked = {int(number): tuple(ratios) for number, ratios in study.notes.get("prune", {}).items()}
    prune = make_follow_up(
        tuple(config.prune), asked, lambda number: study.weights_path(number).is_file(), finals.find_best
    )

    def follow_up(search: Search) -> Proposal | None:
        part = finals.propose_part(search)
        racing = any(isinstance(trial.job, TrainFinalist) for trial in search.running)
        return part if part is not None or racing else prune(search)

    hooks = Hooks(
        early_stopping=parts.early_stopping,
        refuse=make_refusal(config, parts.evaluator),
        start=lambda trial, search: load_start(trial, search.ended, study, heirs),
        promote=make_promoter(parts.promotion, study) if searching else lambda search: None,
        follow_up=follow_up,
        start_clock=finals.start_clock,
        blame_kills=not parts.executor.isolated,
    )
    strategy = parts.make_strategy(parts.space)
    search = Search(parts.space, strategy, parts.objectives, study, seed=config.seed, limits=limits, hooks=hooks)
    return search


class _WeightsOfTheBest:
    """Removes the weights of all trials but the best `count`; of none where it is None."""

    def __init__(self, study: Study, count: int | None) -> None:
        self._study, self._count = study, count
        self._kept: list[Trial] = []

    def remove_worst(self, trial: Trial) -> None:
        """Count a trial that has ended, and remove the weights of the worst if there are too many."""
        own = trial.outcome is not None and trial.outcome.kind in ("complete", "stopped") and is_told(trial.job)
        if self._count is None or not own:  # others have no weights, or a supernet's, which are shared yet
            return
        self._kept = sort_trials([*self._kept, trial])
        if len(self._kept) > self._count:
            self._study.weights_path(self._kept.pop().number).unlink(missing_ok=True)


@contextlib.contextmanager
def _note_seconds(study: Study) -> Iterator[None]:
    """Add the seconds that pass to those of the run, and note whether the user has ended the session."""
    began = time.monotonic()
    try:
        yield
    except KeyboardInterrupt:
        study.record_interruption()
        raise
    finally:
        study.note("seconds", round(study.notes.get("seconds", 0.0) + time.monotonic() - began, 3))


def _note_recommended(study: Study, search: Search, winner: Trial | None) -> None:
    """Note which trial has won, or the version of it that is better still."""
    if winner is None:
        return
    own = winner.number
    versions = [t for t in search.ended if t.outcome and t.outcome.scored and find_unpruned(t, search.ended) == own]
    best = sort_trials(versions or [winner])[0]
    study.note("recommended", {"number": best.number, "after": len(search.ended)})


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


def _add_checkpoints(run: Run, progress: Progress | None, tracking: Tracking, copy: Callable[[], None]) -> Evaluator:
    """The run's evaluator, which goes on from its checkpoint where the run is a training in full."""
    evaluator, config = run.parts.evaluator, run.config
    if config.genotype is None:
        return evaluator

    def show(trial: Trial, measurement: Measurement) -> None:
        copy()  # the checkpoint
        tracking.log_epoch(trial, measurement)
        if progress is not None:
            progress.show_measurement(trial, measurement)

    return CheckpointingEvaluator(evaluator, run.path / CHECKPOINT_FILE, every=config.checkpoint_every, show=show)


def deliver_best(run: Run, best: Candidate) -> None:
    """Test the best candidate once, write the report, and export it if its weights were kept."""
    evaluator = run.parts.evaluator
    whole = evaluator.delivers and run.study.weights_path(best.number).is_file()
    if whole and not run.tested:
        run.study.note("test", {"number": best.number, "metrics": best.test()})
        if run.config.genotype is None and len(run.objectives) == 1:
            run.study.note("compared", compare_best(run, best))
    write_report(run)
    if whole:
        export_model(run, best)
    elif best.trial.stopped:
        log.warning("no model is exported: no trial was trained to its end, some were stopped early")
    else:
        name = type(evaluator).__name__
        log.warning("no model is exported: %s delivers none, or the weights were not kept", name)
