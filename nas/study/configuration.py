"""What a recorded run was asked for, as it was written down, by earlier versions as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nas.config import ALL_EXAMPLES, RunConfig, read_yaml
from nas.core.errors import UserError
from nas.core.evaluator import Assumption
from nas.data.catalogue import strip_transformations
from nas.study.files import JOURNAL
from nas.study.study import Study

_EARLIER_OPTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "metaqnn": ("finalists", {"usual": 0.0}),  # random actions were all alike
    "reinforce": ("candidate_time", {"usual": 0.0}),
    "tpe": ("candidate_time", {"group": False}),
    "local": ("candidate_time", {"steps": False}),
}
"""The options of strategies whose defaults have changed, as they were before there was another option of a run."""


def load_assumptions(study: Study) -> tuple[Assumption, ...] | None:
    """Load the restrictions that the objectives needed when the run began; None where it ended before noting them."""
    noted = study.notes.get("assumptions")
    return None if noted is None else tuple(Assumption(site, tuple(values), why) for site, values, why in noted)


def find_space_version(study: Study) -> int | None:
    """Find the version of the space that a run's genotypes are of; None where it has none."""
    return next((trial.genotype.version for trial in study.trials()), None)


def _reads_csv(written: dict[str, Any]) -> bool:
    names = [written[key] for key in ("dataset", "dataset_b") if written.get(key)]
    return bool(names) and all(strip_transformations(str(name)).startswith("csv:") for name in names)


def load_config(path: Path) -> RunConfig:
    """Load the configuration of the run in this folder.

    Raises:
        UserError: it is no run's.
    """
    if not (path / JOURNAL).is_file() or not (path / "config.yaml").is_file():
        raise UserError("RUN", str(path), "the folder of a run (nas list shows them)", why="is not a run")
    path = path.resolve()
    written = read_yaml(path / "config.yaml")
    since, options = _EARLIER_OPTIONS.get(written.get("strategy", ""), ("", {}))
    if since and since not in written:
        written["set"] = {**options, **(written.get("set") or {})}
    if "split" not in written and written.get("label") is None and _reads_csv(written):
        written["label"] = "first"  # of rows of pixels, which csv: was always
    written = {
        "finalists": 0,
        "usual": False,
        "evaluate": False,
        "proposals": 1,
        "epoch_size": ALL_EXAMPLES,
        "precision": "fp32",
        "test_seed": written.get("seed", 0),  # one seed decided all parts
        "split": "shuffled",
        "background": "black",
        **written,
    }  # earlier versions had none of these
    config = RunConfig.checked(written, source=str(path / "config.yaml"))
    return config.model_copy(update={"name": path.name, "runs_dir": path.parent})  # wherever it was copied to
