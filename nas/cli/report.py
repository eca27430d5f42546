"""``nas report`` and ``nas compare``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nas.cli.options import RUNS_DIR, run_argument, run_path


@click.command("report")
@run_argument
@click.option("--output", type=click.Path(path_type=Path), help="The file to write (default report.html of the run).")
def report_command(run: str, runs_dir: Path, output: Path | None) -> None:
    """Draw a run as one HTML page that needs nothing else: the answer first, then how the search came to it.

    A search does so when it ends; a run that is interrupted, or at work, is drawn as it is now.
    """
    from nas.session.delivery import write_report
    from nas.session.lookup import open_run

    click.echo(str(write_report(open_run(run_path(run, runs_dir)), output)))


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@RUNS_DIR
@click.option("--group", metavar="OPTION", help="Which runs are one group: those with one value of this option.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with the curves to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
def compare_command(runs: tuple[str, ...], runs_dir: Path, group: str | None, html: Path | None, as_json: bool) -> None:
    """Compare runs on the same data with the same objectives: which is better, and is that more than luck?

    By default runs that differ in nothing but their seeds are one group; --group strategy makes a group of all that
    have one strategy.
    """
    from dataclasses import asdict

    from rich.text import Text

    from nas.cli.tables import make_console, make_table
    from nas.session.delivery import compare
    from nas.session.lookup import open_run

    comparison = compare([open_run(run_path(run, runs_dir)) for run in runs], group=group, html=html)
    if as_json:
        click.echo(json.dumps(asdict(comparison)))
        return
    rows = comparison.list_rows()
    names = {"validation": f"{comparison.objective}, validation", "test": f"{comparison.objective}, test"}
    shown = [name for name in rows[0] if any(row[name] for row in rows)]
    out = make_console()
    out.print(make_table([names.get(name, name) for name in shown], [[row[name] for name in shown] for row in rows]))
    for sentence in comparison.describe():
        out.print(Text(sentence), soft_wrap=True)
    if html is not None:
        click.echo(str(html))
