"""What values options can have: their types, and in words for who has given another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator

from nas.core.cost_limits import ALLOWED as COSTS_ALLOWED
from nas.data.reading import ALLOWED as READING_ALLOWED
from nas.study.remote.urls import ALLOWED, find_runs_folder

Scalar = bool | int | float | str


def refuse_bool(value: Any) -> Any:
    """Refuse true and false, which are whole numbers to Python."""
    if isinstance(value, bool):  # YAML's yes
        raise ValueError("a whole number")
    return value


def _path(value: Any) -> Any:
    if isinstance(value, (str, Path)) and "\0" not in str(value):
        return value
    raise ValueError("a path")


Whole = Annotated[int, BeforeValidator(refuse_bool)]
Folder = Annotated[Path, BeforeValidator(_path)]
RunsFolder = Annotated[Path, BeforeValidator(lambda value: find_runs_folder(_path(value)))]
"""Where runs are worked on: of a URL the folder here of its working copies."""


_RATIOS = "shares of the channels to be removed, between 0 and 1, each once: 0.5,0.7"


def as_list(value: Any) -> Any:
    """Make a list of one value."""
    return value if isinstance(value, (list, tuple)) else [value]


def as_value_lists(value: Any) -> Any:
    """Make a list of each value of a mapping that is none."""
    return {k: as_list(v) for k, v in value.items()} if isinstance(value, dict) else value


def as_labels(value: Any) -> Any:
    """Make a list of labels of ``A,B``."""
    return [str(label).strip() for label in (value.split(",") if isinstance(value, str) else as_list(value))]


def as_ratios(value: Any) -> Any:
    """Make a sorted list of ratios of ``0.5,0.7``.

    Raises:
        ValueError: one is none, or there twice.
    """
    try:
        ratios = [float(part) for part in (value.split(",") if isinstance(value, str) else as_list(value))]
    except TypeError:
        raise ValueError(_RATIOS) from None
    if not all(0 < ratio < 1 for ratio in ratios) or len(set(ratios)) < len(ratios):
        raise ValueError(_RATIOS)
    return sorted(ratios)


def format_option(name: str) -> str:
    """An option's name outside Python, where ``from_`` cannot be written without its underscore."""
    return name.rstrip("_").replace("_", "-")


ALLOWED_VALUES = {
    **dict.fromkeys(("space", "strategy", "evaluator", "executor", "early-stopping"), "a name, or module:Class"),
    **dict.fromkeys(("dataset", "dataset-b"), "a name such as digits or folder:PATH, as nas datasets lists them"),
    **dict.fromkeys(("time-limit", "trial-timeout"), "a duration such as 90s, 10m or 1.5h"),
    **dict.fromkeys(("strict", "grow", "usual", "evaluate"), "true or false"),
    "device": "auto, cpu, cuda, a card such as cuda:1, or mps",
    "precision": "auto, fp32, bf16",
    "final-share": "a number between 0 and 1",
    "labelled": "a number above 0, 1 at most",
    "split": "stratified, shuffled",
    "weight-sharing": "none, inherit, supernet",
    **{format_option(name): allowed for name, allowed in READING_ALLOWED.items()},
    "candidate-time": "a duration such as 20s or 1.5m",
    "gpus-per-trial": "a number of GPUs from 0, or a share of one such as 0.25",
    "address": "auto or HOST:PORT",
    "objective": "names of the evaluator's metrics, each once",
    "name": "letters, digits, '.', '_' and '-', not beginning with '.' or '-'",
    "from": "RUN, RUN:TRIAL or a genotype file",
    "warm-start": "RUN, a finished or unfinished search in the same space",
    "first": "texts of genotypes, by where they are from",
    "continue": "RUN, a search on the same data",
    "genotype": "the text of a genotype",
    "pin": "decision=value",
    "restrict": "decision=value,value",
    "set": "option=value",
    "stop-set": "option=value",
    "promotion": "none, a name, or module:Class",
    "runs-dir": ALLOWED,
    "data-dir": "a folder",
    "prune": _RATIOS,
    **{format_option(name): allowed for name, allowed in COSTS_ALLOWED.items()},
}
"""What is allowed, by the option's name; of those left out their types say it."""
