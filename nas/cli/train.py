"""``nas train``."""

from __future__ import annotations

from typing import Any

import click

from nas.cli.completion import complete_trial
from nas.cli.options import GroupedCommand, collect_options, output_options, training_options


@click.command("train", cls=GroupedCommand, params=training_options())
@click.argument("source", metavar="RUN[:TRIAL]|FILE", required=False, shell_complete=complete_trial)
@click.option("--epochs", type=int, help="Epochs to train for, in all; unless a preset says so, it has to be given.")
@click.option("--checkpoint-every", type=int, help="Epochs between two checkpoints (default 1).")
@output_options
def train_command(source: str | None, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> int:
    """Train one architecture in full, and export it.

    RUN[:TRIAL] is a trial of a run, by default its best; FILE holds a genotype that nas show RUN --genotype has
    printed. What is not given is as in the run: the data, its size, the evaluator, the objectives, the seed.
    --preset NAME in their place has an architecture and all else.

    The training is a run of its own, of one trial. However it is interrupted, nas resume goes on from its last
    checkpoint, on a CPU to the same numbers.
    """
    from nas.core.errors import UserError
    from nas.session.train import make_preset_config, make_training_config

    preset = given["preset"]
    if (source is None) == (preset is None):
        raise UserError("RUN", source, "RUN[:TRIAL], the file of a genotype, or --preset NAME: one of them")
    options = collect_options(given)
    if options.get("epochs") is None:
        raise UserError("--epochs", None, "a whole number from 1")
    from nas.cli.search import run_and_report
    from nas.session.given import NO_OBJECTS
    from nas.session.start import start_run

    if source is None:
        config, loaded = make_preset_config(preset, options)
    else:
        config, loaded = make_training_config(source, options), NO_OBJECTS
    return run_and_report(lambda progress: start_run(config, given=loaded, progress=progress), as_json, quiet, verbose)
