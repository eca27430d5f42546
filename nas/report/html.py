"""A run as one page that needs nothing else."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import jinja2

from nas.core.job import TrainSupernet
from nas.core.metric import format_value
from nas.report.figures import draw_curves, draw_front, draw_progress

if TYPE_CHECKING:
    from nas.core.trial import Trial
    from nas.study.run import Run

_PICTURES = 20


def render(run: Run) -> str:
    """Render the page of a run; everything in it is escaped, pictures are part of it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nas.report"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    trials, ranked = run.trials, run.ranked()
    best = run.best.number if ranked else None
    long = any(len(trial.curve) > 1 for trial in trials if not isinstance(trial.job, TrainSupernet))
    return environment.get_template("report.html.jinja").render(
        run=run,
        counts=run.counts(),
        environment=_read_environment(run),
        figure=_encode_url(draw_progress(trials, run.objective)),
        curves=_encode_url(draw_curves(trials, run.objective, best)) if long else "",
        front=[trial.number for trial in run.front()],
        front_figure=_encode_url(draw_front(trials, run.objectives)) if len(run.objectives) > 1 and ranked else "",
        rows=[_make_row(run, trial) for trial in ranked[:_PICTURES]],
        supernets=[
            _describe_supernet(run, trial) for trial in trials if trial.outcome and trial.outcome.kind == "supernet"
        ],
        failed=[trial for trial in trials if trial.outcome is not None and trial.outcome.failed],
        shown=_PICTURES,
        tested=run.tested,
        comparison=run.describe_comparison(),
        evaluations=[_describe_evaluation(run, number, noted) for number, noted in run.evaluations.items()],
    )


def _make_row(run: Run, trial: Trial) -> dict[str, Any]:
    candidate = run.candidate(trial.number)
    picture = run.study.picture(trial.number)
    return {
        "trial": trial,
        "values": [format_value(trial.metrics[objective.name]) for objective in run.objectives],
        "description": candidate.description,
        "remarks": candidate.remarks,
        "picture": _encode_url(picture) if picture is not None else "",
    }


def _describe_evaluation(run: Run, number: int, noted: dict[str, Any]) -> dict[str, Any]:
    folder, metrics = run.evaluation_folder(number), noted["metrics"]
    files = [folder / name for name in noted["pictures"] if (folder / name).is_file()]
    return {
        "number": number,
        "uses": {use: {name: f"{metrics[name]:.4g}" for name in names} for use, names in noted["uses"].items()},
        "remarks": noted["remarks"],
        "pictures": {file.stem: _encode_url(file.read_bytes()) for file in files},
    }


def _describe_supernet(run: Run, trial: Trial) -> dict[str, Any]:
    derived = trial.measurements[-1].derived
    return {
        "trial": trial,
        "epochs": [{**m.metrics, "epoch": m.epoch} for m in trial.measurements],
        "derived": run.space.describe(derived[0], run.shape) if derived else "nothing",
    }


def _encode_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _read_environment(run: Run) -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads((run.path / "environment.json").read_text(encoding="utf-8"))
    return recorded
