"""``nas prune``."""

from __future__ import annotations

from pathlib import Path

import click

from nas.cli.options import RUNS_DIR, output_options


@click.command("prune")
@click.argument("source", metavar="RUN[:TRIAL]")
@click.argument("ratios", metavar="A,B")
@RUNS_DIR
@output_options
def prune_command(source: str, ratios: str, runs_dir: Path, as_json: bool, quiet: bool, verbose: bool) -> int:
    """Make smaller versions of a trial of a run that has come to its end.

    A,B are shares of its channels to be removed, such as 0.5,0.7. After each removal the rest is trained on for a
    fifth of the epochs. Every version is a trial of the run. By default the best trial is pruned, or of several
    objectives every member of the front.
    """
    from nas.config import RunConfig

    wanted = RunConfig.checked({"prune": ratios}).prune
    from nas.session.lookup import find_run_and_trial

    path, trial = find_run_and_trial(source, runs_dir)
    from nas.cli.search import run_and_report
    from nas.session.prune import prune_run

    return run_and_report(
        lambda progress: prune_run(path, wanted, trial=trial, progress=progress), as_json, quiet, verbose
    )
