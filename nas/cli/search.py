"""``nas search`` and ``nas resume``."""

from __future__ import annotations

import json
import logging
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nas.cli.options import (
    GroupedCommand,
    collect_options,
    executor_options,
    output_options,
    run_argument,
    run_path,
    search_options,
)

if TYPE_CHECKING:
    from nas.session.execution import Progress
    from nas.study.run import Run


@click.command("search", cls=GroupedCommand)
@search_options
def search_command(as_json: bool, quiet: bool, verbose: bool, **given: Any) -> int:
    """Search for the best model of a data set, and export it.

    With no options: autoencoders of scikit-learn's digits, 30 trials of aging evolution.
    """
    from nas.config import RunConfig

    options = collect_options(given)
    from nas.session.continuing import make_continued_config
    from nas.session.start import start_run

    config = make_continued_config(options) if "continue_" in options else RunConfig.checked(options)

    began = click.get_current_context().obj
    return run_and_report(
        lambda progress: start_run(config, progress=progress, began=began), as_json, quiet, verbose, began=began
    )


@click.command("resume")
@run_argument
@click.option("--trials", type=click.IntRange(min=1), help="The new number of trials in all.")
@executor_options
@output_options
def resume_command(
    run: str, runs_dir: Path, trials: int | None, as_json: bool, quiet: bool, verbose: bool, **who: Any
) -> int:
    """Go on with a run that was interrupted, or give it more trials.

    Who evaluates is as before, unless --executor, --workers or the like say otherwise for this session.
    """
    path = run_path(run, runs_dir)
    from nas.session.resume import resume_run

    given = {name: value for name, value in who.items() if value is not None}
    return run_and_report(
        lambda progress: resume_run(path, trials=trials, who=given, progress=progress), as_json, quiet, verbose
    )


def run_and_report(
    search: Callable[[Progress], Run], as_json: bool, quiet: bool, verbose: bool, *, began: float | None = None
) -> int:
    """Run a search or a training to its end, print what came of it, and return the exit code.

    Args:
        began: when a time limit began, by `time.monotonic`; None where it begins with the run.
    """
    from nas.cli import DONE, INTERRUPTED, NOTHING_SUCCEEDED, TOO_MANY_FAILURES
    from nas.cli.display import Display
    from nas.cli.summary import print_summary
    from nas.study.remote.urls import describe_place

    configure_logging(verbose)
    progress = Display(silent=quiet, began=began)
    try:
        run = search(progress)
    except KeyboardInterrupt:
        progress.close()
        if progress.run is None:
            raise
        path = shlex.quote(describe_place(progress.run.path))
        click.echo(f"interrupted; {_describe_kept(progress.run)}. Go on with: nas resume {path}", err=True)
        return INTERRUPTED
    finally:
        progress.close()
    counts = run.counts()
    if as_json:
        click.echo(json.dumps(_make_document(run)))
    elif run.ranked():
        if not quiet:
            print_summary(run)
        if run.model_folder is not None:
            click.echo(str(run.model_folder))
    if not run.ranked():
        if not counts["failed"] and counts.get("refused"):
            reason = next(trial.outcome.reason for trial in run.trials if trial.refused and trial.outcome is not None)
            click.echo(f"nas: no trial succeeded: the limits refused all {counts['refused']} ({reason})", err=True)
            return NOTHING_SUCCEEDED
        if not counts["failed"]:
            click.echo("nas: no trial succeeded: none had ended when --time-limit was over", err=True)
            return NOTHING_SUCCEEDED
        reasons = {trial.outcome.reason for trial in run.trials if trial.outcome is not None}
        some = "; ".join(sorted(reasons)[:3])
        nothing = f"no trial succeeded: all {counts['failed']} failed ({some})"
        click.echo(f"nas: {nothing if run.config.genotype is None else f'the training failed: {some}'}", err=True)
        return NOTHING_SUCCEEDED
    if run.config.max_failures is not None and counts["failed"] > run.config.max_failures:
        click.echo(
            f"nas: stopped: {counts['failed']} trials failed, more than --max-failures {run.config.max_failures}",
            err=True,
        )
        return TOO_MANY_FAILURES
    if run.exhausted and not quiet:
        click.echo("the strategy has nothing further to propose", err=True)
    return DONE


def _describe_kept(run: Run) -> str:
    if run.config.genotype is None:
        return f"{sum(run.counts().values())} finished trials are kept"
    from nas.session.checkpoint import CHECKPOINT_FILE, TrainingProgress

    reached = TrainingProgress.read(run.path / CHECKPOINT_FILE).epoch
    return f"the training is kept as it was after epoch {reached} of {run.config.epochs}"


def _make_document(run: Run) -> dict[str, Any]:
    best = None
    if run.ranked():
        candidate = run.best
        best = {
            "number": candidate.number,
            "genotype": json.loads(candidate.genotype.text),
            "values": dict(candidate.metrics),
            "test": run.tested,
            "compared": run.compared,
            "evaluation": run.evaluations.get(candidate.number),
            "model": None if run.model_folder is None else str(run.model_folder),
        }
    from nas.cli.runs import list_front
    from nas.study.remote.urls import find_url

    seconds = run.study.notes.get("seconds", 0.0)
    front = {} if len(run.objectives) == 1 else {"front": list_front(run)}
    epochs = {"run": run.epochs_run, "asked": run.epochs_asked}
    url = {} if find_url(run.path) is None else {"url": find_url(run.path)}
    return {
        "run": str(run.path), **url, "best": best, **front, "trials": run.counts(), "epochs": epochs, "seconds": seconds
    }  # fmt: skip


def configure_logging(verbose: bool) -> None:
    """Show warnings alone, unless the user asks for more."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    logging.getLogger("nas").setLevel(logging.DEBUG if verbose else logging.WARNING)
    logging.getLogger("optuna").setLevel(logging.WARNING)  # once imported: importing it sets another level
