"""``nas evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from nas.cli.options import RUNS_DIR


@click.command("evaluate")
@click.argument("source", metavar="RUN[:TRIAL]")
@click.option(
    "--bound-samples", type=click.IntRange(min=1), default=50, show_default=True,
    help="Codes of an example that its likelihood is bounded by; more than 50 of every test example.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON and nothing else.")
@RUNS_DIR
def evaluate_command(source: str, bound_samples: int, as_json: bool, runs_dir: Path) -> None:
    """Judge a trained autoencoder of a run, by default the best, by what it is used for.

    Reconstruction, likelihood, what codes say of labels, classifiers of few labels, robustness, anomaly detection
    (of runs with --normal), and pictures of codes: on the test part.
    """
    from rich.text import Text

    from nas.cli.tables import make_console, make_evaluation_table
    from nas.session.evaluate import evaluate_trial, make_document
    from nas.session.lookup import find_run_and_trial

    path, trial = find_run_and_trial(source, runs_dir)
    run, number, found = evaluate_trial(path, trial, bound_samples=bound_samples)
    folder = run.evaluation_folder(number)
    if as_json:
        click.echo(json.dumps({**make_document(run, number, found, bound_samples), "folder": str(folder)}))
        return
    out = make_console()
    out.print(Text(f"trial {number}: {run.candidate(number).description}"))
    out.print(make_evaluation_table(found.metrics, found.uses))
    for remark in found.remarks:
        out.print(Text(remark))
    click.echo(str(folder))
