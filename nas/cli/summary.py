"""What came of a run, at its end."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from rich.text import Text

from nas.cli.tables import choose_rows, describe_front, make_best_table, make_console
from nas.session.evaluate import summarise
from nas.study.remote.urls import describe_place, find_url

if TYPE_CHECKING:
    from nas.study.run import Run


def print_summary(run: Run) -> None:
    """The five best or the front, what they are, and where the best lies."""
    out = make_console()
    shown = choose_rows(run)
    counts = run.counts()
    out.print(make_best_table(run, shown, out))
    if len(run.objectives) > 1:
        out.print(Text(describe_front(run, len(shown)) + "\n"), soft_wrap=True)
    for trial in shown:
        out.print(Text(f"trial {trial.number}: {run.candidate(trial.number).description}"))
    tested = ", ".join(f"{name} {value:.5g}" for name, value in run.tested.items())
    supernets = counts.get("supernets", 0)
    trained = f", {supernets} supernet{'s' if supernets > 1 else ''} trained" if supernets else ""
    promotions = counts.get("promotions", 0)
    trained += f", {promotions} promotion{'s' if promotions > 1 else ''}" if promotions else ""
    finals = counts.get("finals", 0)
    trained += f", {finals} part{'s' if finals > 1 else ''} of finals trained" if finals else ""
    versions = counts.get("pruned_versions", 0)
    trained += f", {versions} pruned version{'s' if versions > 1 else ''} made" if versions else ""
    ended = f"{counts['complete']} complete, {counts['stopped']} stopped early, {counts['failed']} failed"
    ended += f", {counts['refused']} over the limits and not trained" if "refused" in counts else ""
    out.print(Text(f"\n{ended}{trained}"))
    if counts["stopped"]:
        out.print(Text(describe_epochs(run)))
    if whole := count_whole(run):
        out.print(Text(f"not grown, as none of their blocks can be left out: {whole}"))
    if tested:
        out.print(Text(f"the best, trial {run.best.number}, on the test part: {tested}"))
    for sentence in (*run.describe_comparison(), *summarise(run)):
        out.print(Text(sentence), soft_wrap=True)
    if (url := find_url(run.path)) is not None:
        out.print(Text(f"the run is at {url}; its copy here:"), soft_wrap=True)
    # soft: the terminal folds these itself, so that paths and commands can be copied
    out.print(Text(f"look at it: {run.path / 'report.html'}"), soft_wrap=True)
    out.print(Text(f"in the dashboard: {make_dashboard_command(run)}"), soft_wrap=True)
    if run.model_folder is not None:
        out.print(Text("the best model, with its weights; python model.py there runs it:"))


def count_whole(run: Run) -> str:
    """How many of the candidates that should grow could not, in words; nothing if all could."""
    grown = [trial for trial in run.trials if trial.outcome is not None and trial.outcome.scored and trial.job.counted]
    whole = sum(trial.metrics.get("stages") == 1 for trial in grown) if run.config.grow else 0
    return f"{whole} of {len(grown)} candidates" if whole else ""


def describe_epochs(run: Run) -> str:
    """What early stopping saved."""
    stopped = run.counts()["stopped"]
    trials = "1 trial" if stopped == 1 else f"{stopped} trials"
    return f"epochs: {run.epochs_run} of {run.epochs_asked}, {trials} stopped early"


def make_dashboard_command(run: Run) -> str:
    """Make the command that opens the run in Optuna's dashboard."""
    return f"nas dashboard {shlex.quote(describe_place(run.path))}"
