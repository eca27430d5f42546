"""``nas init``."""

from __future__ import annotations

from pathlib import Path

import click

from nas.cli.completion import complete, complete_data_set


@click.command("init")
@click.argument("dataset", required=False, shell_complete=complete_data_set)
@click.option("--dataset-b", help="The other set of images, for spaces that translate between two (cyclegan).")
@click.option("--space", shell_complete=complete("space"), help="Search space (default autoencoder).")
@click.option("--label", metavar="COLUMN", help="Labels: a table's column; of rows of pixels first, last, none.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("nas.yaml"), show_default=True)
def init_command(output: Path, **given: str | None) -> None:
    """Write a commented configuration for your data, for nas search --config.

    DATASET is read once, so that the file says what was found in it (default digits).
    """
    from nas.config import RunConfig
    from nas.core.errors import UserError
    from nas.session.starting_config import write_starting_config
    from nas.study.files import write_atomically

    if output.exists():
        raise UserError("--output", str(output), "a file that is not there yet", why="exists")
    options = {name: value for name, value in given.items() if value is not None}
    write_atomically(output, write_starting_config(RunConfig.checked(options)).encode())
    click.echo(f"{output}; begin with: nas search --config {output}")
