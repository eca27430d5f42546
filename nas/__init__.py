"""Neural architecture search and hyperparameter optimisation of generative models.

import nas
run = nas.search(data="digits", trials=30)
model = run.best.model()
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.api import compare, evaluate, extend, open_run, prune, replay, resume, search, train
    from nas.core.errors import UserError
    from nas.report.comparing import Comparison
    from nas.session.delivery import export_front, export_model, write_report
    from nas.study.run import Candidate, Run

_HOMES = {
    "search": "nas.api",
    "compare": "nas.api",
    "resume": "nas.api",
    "train": "nas.api",
    "prune": "nas.api",
    "evaluate": "nas.api",
    "replay": "nas.api",
    "extend": "nas.api",
    "open_run": "nas.api",
    "Run": "nas.study.run",
    "Candidate": "nas.study.run",
    "Comparison": "nas.report.comparing",
    "UserError": "nas.core.errors",
    "export_front": "nas.session.delivery",
    "export_model": "nas.session.delivery",
    "write_report": "nas.session.delivery",
}

__all__ = [
    "Candidate",
    "Comparison",
    "Run",
    "UserError",
    "compare",
    "evaluate",
    "export_front",
    "export_model",
    "extend",
    "open_run",
    "prune",
    "replay",
    "resume",
    "search",
    "train",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import the public names when they are first used: importing nas alone costs nothing."""
    if name == "__version__":
        import importlib.metadata

        return importlib.metadata.version("nas-generative")
    if name not in _HOMES:
        raise AttributeError(f"module 'nas' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
