"""``nas dashboard``."""

from __future__ import annotations

from pathlib import Path

import click

from nas.cli.completion import complete_run
from nas.cli.options import RUNS_DIR


@click.command("dashboard")
@click.argument("run", required=False, shell_complete=complete_run)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for any that is free.")
@RUNS_DIR
def dashboard_command(run: str | None, port: int, runs_dir: Path) -> None:
    """Show all runs in Optuna's dashboard, on this machine alone, until Ctrl-C.

    Runs that are going on are shown as they go on. RUN is the one that the printed address opens.
    """
    from nas.session.dashboard import HOST, open_dashboard
    from nas.session.lookup import find_run

    path = None if run is None else find_run(run, runs_dir)
    server, storage = open_dashboard(runs_dir, port, () if path is None else (path,))
    page = "" if path is None else f"studies/{storage.find_number(path)}"
    click.echo(f"http://{HOST}:{server.server_port}/dashboard/{page}")
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("closed", err=True)
