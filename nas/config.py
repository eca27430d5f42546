"""The options of a run, with the same names on the command line, in YAML and in Python."""

from __future__ import annotations

import difflib
import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from nas.core.cost_limits import ALLOWED as COSTS_ALLOWED
from nas.core.cost_limits import COSTS, parse_limit
from nas.core.durations import parse_duration
from nas.core.errors import InvalidGenotype, UserError, unknown_name
from nas.core.genotype import Genotype
from nas.data.reading import ALLOWED as READING_ALLOWED
from nas.data.reading import Reading, normalise
from nas.study.remote.urls import ALLOWED, find_runs_folder

Scalar = bool | int | float | str


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):  # YAML's yes
        raise ValueError("a whole number")
    return value


def _path(value: Any) -> Any:
    if isinstance(value, (str, Path)) and "\0" not in str(value):
        return value
    raise ValueError("a path")


Whole = Annotated[int, BeforeValidator(_refuse_bool)]
Folder = Annotated[Path, BeforeValidator(_path)]
RunsFolder = Annotated[Path, BeforeValidator(lambda value: find_runs_folder(_path(value)))]
"""Where runs are worked on: of a URL the folder here of its working copies."""


_RATIOS = "shares of the channels to be removed, between 0 and 1, each once: 0.5,0.7"


def _as_list(value: Any) -> Any:
    return value if isinstance(value, (list, tuple)) else [value]


def _as_value_lists(value: Any) -> Any:
    return {k: _as_list(v) for k, v in value.items()} if isinstance(value, dict) else value


def _as_labels(value: Any) -> Any:
    return [str(label).strip() for label in (value.split(",") if isinstance(value, str) else _as_list(value))]


def _as_ratios(value: Any) -> Any:
    try:
        ratios = [float(part) for part in (value.split(",") if isinstance(value, str) else _as_list(value))]
    except TypeError:
        raise ValueError(_RATIOS) from None
    if not all(0 < ratio < 1 for ratio in ratios) or len(set(ratios)) < len(ratios):
        raise ValueError(_RATIOS)
    return sorted(ratios)


def _format_option(name: str) -> str:
    """An option's name outside Python, where ``from_`` cannot be written without its underscore."""
    return name.rstrip("_").replace("_", "-")


ALL_EXAMPLES = 10**9
"""The size of an epoch that shows all examples there are."""


PROPOSALS = 2
"""How proposals are made, raised where they change: a run goes on as it began.

In 1 a strategy did not know that the usual genotype came before its own, and a run of one trial did not begin with it.
"""


class RunConfig(BaseModel):
    """Every option of a search. In YAML the names have dashes, as on the command line.

    With a `genotype`, its canonical text, the run is the training of that alone: see nas.session.train.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=_format_option,
        populate_by_name=True,
    )

    space: str = "autoencoder"
    dataset: str = "digits"
    dataset_b: str | None = None
    strategy: str = "evolution"
    evaluator: str | None = None
    executor: str | None = None
    workers: Whole | None = Field(None, ge=1)
    cpus_per_trial: Whole | None = Field(None, ge=1)
    gpus_per_trial: float | None = Field(None, ge=0, allow_inf_nan=False)
    address: str | None = None
    retries: Whole | None = Field(None, ge=0)
    trial_timeout: str | None = None
    trials: Whole = Field(30, ge=1, le=1_000_000)
    time_limit: str | None = None
    epochs: Whole | None = Field(None, ge=1, le=100_000)
    candidate_time: str | None = None
    scored_examples: Whole | None = Field(None, ge=1)
    objective: Annotated[list[str], BeforeValidator(_as_list)] = Field(default_factory=list)
    from_: str | None = None
    genotype: str | None = None
    warm_start: str | None = None
    first: dict[str, str] = Field(default_factory=dict)
    continue_: str | None = None
    known: Whole = Field(0, ge=0)
    pin: dict[str, Scalar] = Field(default_factory=dict)
    restrict: Annotated[dict[str, list[Scalar]], BeforeValidator(_as_value_lists)] = Field(default_factory=dict)
    set: dict[str, Scalar | None] = Field(default_factory=dict)
    early_stopping: str | None = None
    stop_set: dict[str, Scalar | None] = Field(default_factory=dict)
    promotion: str = "none"
    seed: Whole = Field(0, ge=0, lt=2**32)
    test_seed: Whole = Field(0, ge=0, lt=2**32)
    name: str | None = None
    runs_dir: RunsFolder = Path("runs")
    features: Literal["auto", "classifier", "self_supervised", "inception"] | None = None
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?|mps)$")
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    train_size: Whole | None = Field(None, ge=2)
    split: Literal["stratified", "shuffled"] = "stratified"
    image_size: int | str | None = None
    channels: str = "auto"
    background: str = "white"
    image_shape: str | None = None
    label: str | None = None
    drop: list[str] = Field(default_factory=list)
    columns: list[str] = Field(default_factory=list)
    group: str | None = None
    factors: list[str] = Field(default_factory=list)
    kind: str = "auto"
    window: int | None = None
    data_dir: Folder | None = None
    strict: bool = False
    normal: Annotated[list[str], BeforeValidator(_as_labels)] = Field(default_factory=list)
    labelled: Annotated[float, BeforeValidator(_refuse_bool)] = Field(1.0, gt=0, le=1, allow_inf_nan=False)
    weight_sharing: Literal["none", "inherit", "supernet"] = "none"
    grow: bool = False
    max_parameters: str | None = None
    max_macs: str | None = None
    max_memory: str | None = None
    max_latency: str | None = None
    track: Annotated[list[str], BeforeValidator(_as_list)] = Field(default_factory=list)
    max_failures: Whole | None = Field(None, ge=0)
    keep_weights: Whole | None = Field(None, ge=1)
    epoch_size: Whole | None = Field(None, ge=1)
    finalists: Whole | None = Field(None, ge=0, le=100)
    final_share: float | None = Field(None, gt=0, lt=1, allow_inf_nan=False)
    usual: bool = True
    evaluate: bool = True
    proposals: Whole = Field(PROPOSALS, ge=1, le=PROPOSALS)
    checkpoint_every: Whole = Field(1, ge=1)
    prune: Annotated[list[float], BeforeValidator(_as_ratios)] = Field(default_factory=list)

    @field_validator("time_limit", "trial_timeout", "candidate_time", mode="before")
    @classmethod
    def _duration(cls, value: Any) -> Any:
        if value is not None:
            parse_duration(value)
            return str(value)
        return None

    @field_validator(*COSTS, mode="before")
    @classmethod
    def _cost(cls, value: Any, field: ValidationInfo) -> Any:
        if value is not None:
            parse_limit(field.field_name or "", value)
            return str(value)
        return None

    @field_validator(*READING_ALLOWED, mode="before")
    @classmethod
    def _reading(cls, value: Any, field: ValidationInfo) -> Any:
        return None if value is None else normalise(field.field_name or "", value)

    @field_validator("objective")
    @classmethod
    def _objective(cls, value: list[str]) -> list[str]:
        if len(set(value)) < len(value):
            raise ValueError("each objective once")
        return value

    @field_validator("genotype")
    @classmethod
    def _genotype(cls, value: str | None) -> str | None:
        try:
            return None if value is None else Genotype.parse(value).text
        except InvalidGenotype as error:
            raise ValueError(str(error)) from None

    @field_validator("first")
    @classmethod
    def _first(cls, value: dict[str, str]) -> dict[str, str]:
        try:
            return {origin: Genotype.parse(text).text for origin, text in value.items()}
        except InvalidGenotype as error:
            raise ValueError(str(error)) from None

    @field_validator("name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", value):
            raise ValueError("letters, digits, '.', '_' and '-', not beginning with '.' or '-'")
        return value

    @classmethod
    def checked(cls, given: dict[str, Any], *, source: str = "") -> Self:
        """The configuration of the options given.

        Args:
            source: the file the options come from, for messages.

        Raises:
            UserError: an unknown option or a value that an option does not take.
        """
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise _make_user_error(error, source) from None

    @property
    def executor_name(self) -> str:
        """The executor's name; without one it is inline for one worker, and Ray's for more."""
        return self.executor or ("ray" if (self.workers or 1) > 1 else "inline")

    @property
    def effort(self) -> str:
        """How long a candidate is trained, in words: a time, or epochs."""
        return (
            f"{self.candidate_time} of training"
            if self.candidate_time
            else "1 epoch"
            if self.epochs == 1
            else f"{self.epochs} epochs"
        )

    @property
    def executor_options(self) -> dict[str, Any]:
        """The options given that are an executor's, by their names in Python."""
        given = {name: getattr(self, name) for name in EXECUTOR_OPTIONS if getattr(self, name) is not None}
        return {name: parse_duration(value) if name == "trial_timeout" else value for name, value in given.items()}

    @property
    def data_options(self) -> dict[str, Any]:
        """How data is read and split, by the names that nas.data.loading takes."""
        split = {name: getattr(self, name) for name in ("seed", "test_seed", "train_size", "split")}
        return {**split, **vars(self.reading)}

    @property
    def reading(self) -> Reading:
        """How data is read."""
        return Reading(**{field.name: getattr(self, field.name) for field in fields(Reading)})

    @property
    def data_sets(self) -> list[str]:
        """The names of the data sets: one, or those of both domains."""
        return [self.dataset] if self.dataset_b is None else [self.dataset, self.dataset_b]

    def to_yaml(self) -> str:
        """The whole configuration, but for where the run lies, so that ``nas search --config`` repeats it.

        What `from_`, `warm_start` and `continue_` name may be gone by then: a run that begins turns them into pins,
        and into genotypes that come first.
        """
        document = self.model_dump(
            mode="json", by_alias=True, exclude={"name", "runs_dir", "from_", "warm_start", "continue_"}
        )
        text: str = yaml.safe_dump(document, sort_keys=False)
        return text


EXECUTOR_OPTIONS = ("workers", "cpus_per_trial", "gpus_per_trial", "address", "retries", "trial_timeout")
"""Those that are passed to the executor's constructor, if it takes them."""
OPTIONS = {_format_option(name): name for name in RunConfig.model_fields}
"""The options' names on the command line and in YAML, and those of the fields."""


def read_yaml(path: Path) -> dict[str, Any]:
    """Read the options in a YAML file, by their names in Python.

    Raises:
        UserError: no such file, not YAML, not a mapping, or a key that is no option.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError("--config", str(path), "a YAML file", why=error.strerror or str(error)) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # dates that are none, brackets without end
        raise UserError("--config", str(path), "a YAML file", why=" ".join(str(error).split())) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UserError("--config", str(path), "lines of 'option: value'", why="is not a mapping")
    options = {}
    for key, value in document.items():
        name = _format_option(str(key))
        if name not in OPTIONS:
            raise unknown_name(f"--config {path}: option", str(key), OPTIONS)
        options[OPTIONS[name]] = value
    return options


_ALLOWED = {
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
    **{_format_option(name): allowed for name, allowed in READING_ALLOWED.items()},
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
    **{_format_option(name): allowed for name, allowed in COSTS_ALLOWED.items()},
}


def _make_user_error(error: ValidationError, source: str) -> UserError:
    first = error.errors()[0]
    option = _format_option(str(first["loc"][0]))
    where = f"{source}: " if source else ""
    if first["type"] == "extra_forbidden":
        nearest = difflib.get_close_matches(option, OPTIONS, n=1)
        hint = f"unknown option, did you mean {nearest[0]!r}?" if nearest else "unknown option"
        return UserError(f"{where}--{option}", first["input"], ", ".join(sorted(OPTIONS)), why=hint)
    allowed = _ALLOWED.get(option) or _describe_range(option, first["msg"])
    return UserError(f"{where}--{option}", first["input"], allowed)


def _describe_range(option: str, message: str) -> str:
    field = RunConfig.model_fields[OPTIONS[option]]
    bounds = {
        name: getattr(item, name) for item in field.metadata for name in ("ge", "le", "lt") if hasattr(item, name)
    }
    if "ge" in bounds:
        top = bounds.get("le", bounds["lt"] - 1 if "lt" in bounds else None)
        return f"a whole number from {bounds['ge']}" + (f" to {top}" if top is not None else "")
    return message[0].lower() + message[1:]
