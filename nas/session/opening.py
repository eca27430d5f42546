"""An existing run, opened to be looked at and exported."""

from __future__ import annotations

from pathlib import Path

from nas.session.assembly import assemble
from nas.study.parts import Parts
from nas.study.run import Run, config_of, recorded_assumptions
from nas.study.study import Study


def open_run(path: Path | str) -> Run:
    """An existing run, whose space, data and evaluator are loaded when first needed.

    Raises:
        UserError: there is no run at `path`.
    """
    path = Path(path)
    config = config_of(path)
    return Run(Study.read(path), config, None, _load_parts)


def _load_parts(run: Run) -> Parts:
    return assemble(run.config, assumed=recorded_assumptions(run.study))
