"""``nas replay``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nas.cli.completion import complete_trial
from nas.cli.options import RUNS_DIR

if TYPE_CHECKING:
    from nas.session.replay import Difference, Replay


@click.command("replay")
@click.argument("source", metavar="RUN[:TRIAL]", shell_complete=complete_trial)
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON and nothing else.")
@RUNS_DIR
def replay_command(source: str, as_json: bool, runs_dir: Path) -> int:
    """Train a trial of a run, by default the best, again from its record, and compare the numbers.

    A trial that goes on with another's training is trained from the beginning of that. Time and memory are not
    compared, and nothing of the run is changed. The exit code is 0 where the numbers are the same, else 1.
    """
    from nas.cli.search import configure_logging
    from nas.cli.tables import make_console
    from nas.session.lookup import find_run_and_trial
    from nas.session.replay import replay_trial

    configure_logging(verbose=False)
    path, trial = find_run_and_trial(source, runs_dir)
    with make_console(stderr=True).status("training it again") as status:
        found = replay_trial(
            path, trial, show=lambda part, last: status.update(f"trial {part.number}, after epoch {last.epoch}")
        )
    if as_json:
        click.echo(json.dumps(found.make_document()))
    else:
        _print(found)
    return 0 if found.same else 1


def _print(found: Replay) -> None:
    from rich.text import Text

    from nas.cli.tables import make_console, make_table

    out = make_console()
    also = "" if len(found.trained) == 1 else f", the parts of which are trials {', '.join(map(str, found.trained))}"
    out.print(Text(f"trial {found.number}: {found.run.candidate(found.number).description}"))
    out.print(Text(f"epochs trained again: {found.epochs}{also}"))
    then, here = found.ended
    if then.kind != here.kind:
        reasons = [f"{one.kind} ({one.reason})" if one.reason else one.kind for one in (then, here)]
        out.print(Text(f"it ended as {reasons[0]} then, and as {reasons[1]} here"))
    if found.same:
        names = ", ".join(one.name for one in found.metrics)
        out.print(Text(f"the same numbers{', to the last bit: ' if names else ''}{names}"))
    else:
        if found.first is not None:
            out.print(Text("other numbers: the first after epoch {1} of trial {0}".format(*found.first)))
        rows = [
            [one.name, repr(one.then), "not measured" if one.here is None else repr(one.here), _describe(one)]
            for one in found.metrics
        ]
        if rows:
            out.print(make_table(["after the last epoch", "then", "here", "difference"], rows))
    if found.left_out:
        out.print(Text(f"not compared: {', '.join(found.left_out)}"))
    for change in found.changes:
        out.print(Text(str(change)))
    if not found.changes:
        out.print(Text("nothing that is recorded of machine, packages, data and space differs"))
    if not found.same and not found.changes:
        out.print(Text("so the record or the code has changed, or the device computes otherwise each time"))


def _describe(one: Difference) -> str:
    if one.then == one.here:
        return "none"
    return "-" if one.relative is None else f"{100 * one.relative:+.2g}%"
