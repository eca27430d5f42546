"""``nas train``."""

from __future__ import annotations

from typing import Any

import click

from nas.cli.completion import complete_trial
from nas.cli.options import GroupedCommand, collect_options, output_options, training_options


@click.command("train", cls=GroupedCommand, params=training_options())
@click.argument("source", metavar="RUN[:TRIAL]|FILE", shell_complete=complete_trial)
@click.option("--epochs", type=int, required=True, help="Epochs to train for, in all.")
@click.option("--checkpoint-every", type=int, help="Epochs between two checkpoints (default 1).")
@output_options
def train_command(source: str, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> int:
    """Train one architecture in full, and export it.

    RUN[:TRIAL] is a trial of a run, by default its best; FILE holds a genotype that nas show RUN --genotype has
    printed. What is not given is as in the run: the data, its size, the evaluator, the objectives, the seed.

    The training is a run of its own, of one trial. However it is interrupted, nas resume goes on from its last
    checkpoint, on a CPU to the same numbers.
    """
    from nas.session.train import make_training_config

    config = make_training_config(source, collect_options(given))
    from nas.cli.search import run_and_report
    from nas.session.start import start_run

    return run_and_report(lambda progress: start_run(config, progress=progress), as_json, quiet, verbose)
