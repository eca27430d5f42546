"""The configuration of a run that trains one architecture in full, from the run that found it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas import registry
from nas.assembly import TRAIN
from nas.config import RunConfig
from nas.core.errors import UserError, unknown_name
from nas.core.genotype import Genotype
from nas.finding import architecture_from
from nas.run import Candidate

INHERITED = (
    "space",
    "dataset",
    "evaluator",
    "executor",
    "objective",
    "seed",
    "features",
    "device",
    "train_size",
    "image_size",
    "data_dir",
    "strict",
)
"""The options that a training has from the run of its architecture, unless it is given them."""
_OWN = ("epochs", "name", "runs_dir", "checkpoint_every")
_OF_THE_DATA = ("train_size", "image_size", "data_dir", "strict")


def config_to_train(source: str, options: Mapping[str, Any]) -> RunConfig:
    """What ``nas train`` is asked to do; see `config_of_training`.

    Args:
        source: RUN[:TRIAL], or the file of a genotype.

    Raises:
        UserError: there is no such thing, or an option is unknown or faulty.
    """
    found = architecture_from(source, Path(options.get("runs_dir", "runs")), "RUN")
    return config_of_training(found, source, options)


def config_of_training(found: Candidate | Genotype, source: str, options: Mapping[str, Any]) -> RunConfig:
    """The configuration: the options given, and what else the candidate's run was asked for.

    A genotype alone says which space it is of. Another data set than the run's brings its own size. The new run lies
    beside that of the candidate.

    Args:
        source: what `found` is called.

    Raises:
        UserError: the genotype's space is unknown, or an option is unknown or faulty.
    """
    for name in options:
        if name not in (*INHERITED, *_OWN):
            raise unknown_name("option of a training", name, (*INHERITED, *_OWN))
    if isinstance(found, Candidate):
        config, genotype = found.run.config, found.genotype
        names = [name for name in INHERITED if "dataset" not in options or name not in _OF_THE_DATA]
        inherited: dict[str, Any] = {name: getattr(config, name) for name in (*names, "runs_dir")}
    else:
        genotype = found
        if "space" not in options and genotype.space not in registry.names("space"):
            known = f"one of {', '.join(registry.names('space'))}, or --space module:Class with it"
            raise UserError(
                "RUN", source, known, why=f"is a genotype of the space {genotype.space!r}, which is unknown"
            )
        inherited = {"space": genotype.space}
    own = {"genotype": genotype.text, "strategy": TRAIN, "trials": 1, "from_": source}
    return RunConfig.checked({**inherited, **options, **own})
