"""``nas dashboard``: Optuna's dashboard of all runs of a folder, on this machine alone."""

from __future__ import annotations

import errno
import functools
import html
from collections.abc import Callable, Sequence
from pathlib import Path
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from nas.core.errors import UserError
from nas.core.imports import require_packages
from nas.core.metric import format_value
from nas.core.space import Drawable
from nas.core.trial import Trial
from nas.session.lookup import list_runs, open_run
from nas.study.dashboard import RunsStorage, make_application
from nas.study.run import Candidate, Run

HOST = "127.0.0.1"


class DashboardServer(ThreadingMixIn, WSGIServer):
    """Answers several requests at once."""

    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing of requests."""


def open_dashboard(runs_dir: Path, port: int, more: Sequence[Path] = ()) -> tuple[DashboardServer, RunsStorage]:
    """Open the dashboard; who asks for it serves it.

    Args:
        port: 0 for one that is free.
        more: folders of runs that lie elsewhere.

    Raises:
        UserError: something else listens at the port, or optuna-dashboard is not installed.
    """
    require_packages("nas", "dashboard", ("optuna_dashboard",), "optuna-dashboard", "nas show, or a run's report.html")
    storage = RunsStorage(
        lambda: list(dict.fromkeys([*list_runs(runs_dir), *more])), describe_run, describe_trial, draw_trial
    )
    try:
        server = make_server(HOST, port, make_application(storage), DashboardServer, _Quiet)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EACCES):
            raise
        why = "another program listens there" if error.errno == errno.EADDRINUSE else "it needs more rights"
        raise UserError("--port", port, "a port that is free, or 0 for any", why=why) from None
    assert isinstance(server, DashboardServer)
    return server, storage


def describe_run(path: Path) -> str:
    """Describe a run as it is now, in Markdown: what is searched in what, and the best so far."""
    run = _open(path)
    config, objectives = run.config, " and ".join(one.name for one in run.objectives)
    lines = [
        f"**{config.strategy} on {config.space}, {run.data_name}**",
        f"best {objectives} wanted; seed {config.seed}",
    ]
    if run.ranked():
        best = run.ranked()[0]
        lines.append(f"best: trial {best.number}, {run.candidate(best.number).description}")
    if run.tested:
        lines.append("on the test part: " + ", ".join(f"{name} {value:.5g}" for name, value in run.tested.items()))
    return _write_lines([*lines, f"`nas show {path.name}` and `nas report {path.name}` show more."])


def describe_trial(path: Path, trial: Trial) -> str:
    """Describe a trial that has ended, in Markdown: what it is, how it ended, where it comes from."""
    run = _open(path)
    candidate, outcome = Candidate(run, trial), trial.outcome
    assert outcome is not None
    said = outcome.kind.replace("_", " ")
    lines = [f"**{candidate.description}**", f"{said}: {outcome.reason}" if outcome.reason else said]
    values = [(one.name, trial.metrics.get(one.name)) for one in run.objectives]
    lines.append(", ".join(f"{name} {format_value(value)}" for name, value in values if value is not None))
    lines += candidate.remarks
    if parents := trial.proposal.parents:
        lines.append(f"made from trial{'s' if len(parents) > 1 else ''} {', '.join(map(str, parents))}")
    return _write_lines([*lines, f"`nas show {path.name} --trial {trial.number}` shows all of it."])


def draw_trial(path: Path, trial: Trial) -> Callable[[], bytes] | None:
    """Give what draws the cells of a trial as SVG; None of what has none."""
    from nas.report.graphs import draw_graphs_alone

    space = _open(path).space
    graphs = space.graphs(trial.genotype) if isinstance(space, Drawable) else {}
    return functools.partial(draw_graphs_alone, graphs) if graphs else None


def _write_lines(lines: Sequence[str]) -> str:
    """Paragraphs of Markdown, in which what a user has named is no HTML."""
    return "\n\n".join(html.escape(line, quote=False) for line in lines if line)


@functools.lru_cache(maxsize=64)
def _open(path: Path) -> Run:
    return open_run(path)
