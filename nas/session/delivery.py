"""Exported models of a run, and the page that reports it.

Exporters, templates and figures are imported when something is delivered, so that a search begins without them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.core.errors import UserError, unknown_name
from nas.core.imports import find_missing_packages
from nas.export import FORMATS, ONNX_PACKAGES
from nas.study.files import write_atomically
from nas.study.remote.working_copy import copy_back
from nas.study.run import Candidate, Run

if TYPE_CHECKING:
    from nas.report.comparing import Comparison

log = logging.getLogger(__name__)


def export_model(
    run: Run,
    candidate: Candidate | None = None,
    *,
    directory: Path | None = None,
    formats: tuple[str, ...] | None = None,
    part: str | None = None,
) -> Path:
    """Write a trial's model as a folder that runs without us; by default the best into ``best/``.

    Args:
        formats: by default all; without ONNX, and with a warning, where its packages are not installed.
        part: of a model that has several (a GAN's ``discriminator``); None for the one that is usually wanted.

    Raises:
        UserError: its weights were not kept, it has no such part, or the folder holds something else.
        ExportMismatch: a format's outputs differ from the model's.
    """
    from nas.export.folder import export_model as write_model
    from nas.report.card import make_card

    best = run.candidate(None)
    candidate = candidate or best
    evaluator: Any = run.parts.evaluator
    deliverables = evaluator.deliverables(candidate.genotype, candidate.model())
    usual = next(iter(deliverables))
    part = part or usual
    if part not in deliverables:
        raise unknown_name("--part", part, deliverables)
    if directory is None:
        directory = run.path / ("best" if candidate.number == best.number else f"export-{candidate.number:04d}")
        if part != usual:
            directory = directory.with_name(f"{directory.name}-{part}")
    write_model(deliverables[part], directory, card=make_card(candidate), formats=formats or _list_formats())
    _copy_changed(run, directory)
    return directory


def export_front(run: Run, *, directory: Path | None = None, formats: tuple[str, ...] | None = None) -> list[Path]:
    """Write the model of every member of the front whose weights were kept, each as a folder of its own.

    Args:
        directory: what the folders ``trial-0007`` are made in; by default each goes where `export_model` puts it.

    Raises:
        UserError: the run has one objective, or no member's weights were kept.
        ExportMismatch: a format's outputs differ from the model's.
    """
    if len(run.objectives) == 1:
        allowed = "runs with several --objective"
        raise UserError("--front", run.path.name, allowed, why=f"{run.objective.name} is its only objective")
    front = run.front()
    if not front:
        raise UserError("RUN", str(run.path), "a run with a trial that succeeded", why="no trial succeeded")
    kept = [trial for trial in front if run.study.weights_path(trial.number).is_file()]
    if not kept:
        raise UserError("--front", run.path.name, "runs that keep weights", why="no member's weights were kept")
    for trial in front:
        if trial not in kept:
            log.warning("trial %d of the front is left out: its weights were not kept", trial.number)
    return [
        export_model(
            run,
            Candidate(run, trial),
            directory=None if directory is None else directory / f"trial-{trial.number:04d}",
            formats=formats,
        )
        for trial in kept
    ]


def write_report(run: Run, path: Path | None = None) -> Path:
    """Draw the run as a page; by default ``report.html`` in its folder."""
    from nas.report.html import render

    path = path or run.path / "report.html"
    write_atomically(path, render(run).encode(errors="replace"))
    _copy_changed(run, path)
    return path


def compare(runs: Sequence[Run], *, group: str | None = None, html: Path | None = None) -> Comparison:
    """Compare runs, and draw a page of that if there is a file for it; see nas.report.comparing.compare_runs.

    Raises:
        UserError: they do not compare.
    """
    from nas.report.comparing import compare_runs
    from nas.report.comparison_page import render_comparison

    comparison = compare_runs(runs, group)
    if html is not None:
        write_atomically(html, render_comparison(comparison).encode(errors="replace"))
    return comparison


def _list_formats() -> tuple[str, ...]:
    """All formats whose packages are installed."""
    if missing := find_missing_packages(ONNX_PACKAGES):
        log.warning("no model.onnx is written without %s: pip install %s", " and ".join(missing), " ".join(missing))
        return tuple(name for name in FORMATS if name != "onnx")
    return FORMATS


def _copy_changed(run: Run, path: Path) -> None:
    """Copy to the run's URL, if it has one, what was written; a session does so by itself."""
    if not run.study.owned and path.resolve().is_relative_to(run.path.resolve()):
        copy_back(run.path)
