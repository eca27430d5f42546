"""The configuration of a run that trains one architecture in full, from the run that found it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas import registry
from nas.config import RunConfig
from nas.core.errors import UserError, unknown_name
from nas.core.genotype import Genotype
from nas.core.job import PruneChannels
from nas.session.assembly import TRAIN
from nas.session.lookup import find_architecture
from nas.study.remote.urls import find_runs_folder
from nas.study.run import Candidate

DATA_OPTIONS = (
    "dataset", "dataset_b", "test_seed", "train_size", "split", "image_size", "channels", "background", "image_shape",
    "label", "drop", "columns", "group", "kind", "window", "normal", "labelled", "data_dir", "strict",
)  # fmt: skip
"""The inherited options that belong to the data set: given another set, none of them is inherited."""
INHERITED_OPTIONS = (
    "space",
    "evaluator",
    "objective",
    "seed",
    "features",
    "device",
    "precision",
    *DATA_OPTIONS,
)
"""The options that a training inherits from the run of its architecture, unless they are given."""
_OWN = ("epochs", "executor", "name", "runs_dir", "checkpoint_every")


def make_training_config(architecture: str | Candidate | Genotype, options: Mapping[str, Any]) -> RunConfig:
    """Make the configuration of ``nas train``: the options given, and the others as in the candidate's run.

    A genotype alone says which space it is of. Another data set than the run's brings its own size. Unless options
    say where, the new run lies beside that of the candidate.

    Args:
        architecture: as it is, or as RUN[:TRIAL], or as the file of a genotype.

    Raises:
        UserError: there is no such thing, its space is unknown, or an option is unknown or faulty.
    """
    for name in options:
        if name not in (*INHERITED_OPTIONS, *_OWN):
            raise unknown_name("option of a training", name, (*INHERITED_OPTIONS, *_OWN))
    found = architecture
    if isinstance(found, str):
        runs_dir = find_runs_folder(options.get("runs_dir", "runs"))
        found, options = find_architecture(found, runs_dir, "RUN"), {**options, "runs_dir": runs_dir}
    if isinstance(found, Candidate) and isinstance(found.trial.job, PruneChannels):
        name, whole = found.run.path.name, found.unpruned.number
        why = "is pruned, and a training in full begins with the whole network"
        raise UserError("RUN", f"{name}:{found.number}", f"trials that are not, such as {name}:{whole}", why=why)
    if isinstance(found, Candidate):
        config, genotype, source = found.run.config, found.genotype, f"{found.run.path.name}:{found.number}"
        names = [name for name in INHERITED_OPTIONS if "dataset" not in options or name not in DATA_OPTIONS]
        inherited: dict[str, Any] = {name: getattr(config, name) for name in (*names, "runs_dir")}
        if config.precision == "bf16":  # of the device there; another may have none
            inherited["precision"] = "auto"
    else:
        genotype, source = found, architecture if isinstance(architecture, str) else f"genotype {found.id}"
        if "space" not in options and genotype.space not in (known := registry.names("space")):
            allowed = f"{', '.join(known)}, or --space module:Class with it"
            why = f"is a genotype of the space {genotype.space!r}, which is unknown"
            raise UserError("RUN", source, allowed, why=why)
        inherited = {"space": genotype.space}
    own = {"genotype": genotype.text, "strategy": TRAIN, "trials": 1, "from_": source}
    return RunConfig.checked({**inherited, **options, **own})
