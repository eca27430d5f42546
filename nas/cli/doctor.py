"""``nas doctor``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from nas.cli.options import RUNS_DIR

_MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


@click.command("doctor")
@click.option("--quick", is_flag=True, help="Look only: no tiny search on each device and on Ray's workers.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@RUNS_DIR
def doctor_command(quick: bool, as_json: bool, runs_dir: Path) -> int:
    """Check that everything a search needs is here and works; say how to mend what does not.

    Packages, devices, threads, folders; then a tiny search with export on each device, and one on Ray's workers. The
    exit code is 1 if something is wrong.
    """
    from nas.cli.search import configure_logging
    from nas.session.doctor import examine_installation

    configure_logging(verbose=False)
    found = []
    for finding in examine_installation(runs_dir, quick=quick):
        found.append(finding)
        if not as_json:
            remedy = f"; mend it: {finding.remedy}" if finding.remedy else ""
            click.echo(f"{_MARKS[finding.state]}  {finding.check}: {finding.detail}{remedy}")
    wrong = [finding.check for finding in found if finding.state == "wrong"]
    if as_json:
        click.echo(json.dumps({"wrong": wrong, "findings": [asdict(finding) for finding in found]}))
    else:
        click.echo(f"wrong: {', '.join(wrong)}" if wrong else "nothing is wrong")
    return 1 if wrong else 0
