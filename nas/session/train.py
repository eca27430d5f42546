"""The configuration of a run that trains one architecture in full, from the run that found it, or of a preset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas import registry
from nas.config import RunConfig
from nas.core.errors import UserError, unknown_name
from nas.core.genotype import Genotype
from nas.core.job import PruneChannels
from nas.core.space import Conditionable, generator_for, sample
from nas.session.assembly import TRAIN, load_data_first
from nas.session.given import NO_OBJECTS, Given
from nas.session.lookup import find_architecture
from nas.session.restrictions import fit_space, load_space, restrict_space
from nas.study.remote.urls import find_runs_folder
from nas.study.run import Candidate

DATA_OPTIONS = (
    "dataset", "dataset_b", "test_seed", "train_size", "split", "image_size", "channels", "background", "image_shape",
    "label", "drop", "columns", "group", "factors", "kind", "window", "normal", "labelled", "data_dir", "strict",
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
_OWN = ("epochs", "executor", "name", "track", "runs_dir", "checkpoint_every", "evaluate")


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


def make_preset_config(name: str, options: Mapping[str, Any]) -> tuple[RunConfig, Given]:
    """Make the configuration of ``nas train --preset NAME``, and give the data that had to be loaded for it.

    What is trained is the usual genotype of the space, as the options' pins and restrictions leave it; what is decided
    neither way is drawn by the seed. Options that say how to search have no say.

    Raises:
        UserError: an option is faulty, or the preset does not fit the data.
    """
    config = RunConfig.checked(dict(options))
    given = load_data_first(config, NO_OBJECTS)
    assert given.data is not None
    space = restrict_space(fit_space(load_space(config), given.data), config)
    if isinstance(space, Conditionable):
        space = space.conditioned(given.data.condition)
    genotype = sample(space, generator_for(config.seed, 0), usual=1.0)
    kept = {option: options[option] for option in (*INHERITED_OPTIONS, *_OWN) if option in options}
    own = {"genotype": genotype.text, "strategy": TRAIN, "trials": 1, "from_": f"preset {name}"}
    return RunConfig.checked({**kept, **own}), given
