"""The options of a run, with the same names on the command line, in YAML and in Python."""

from __future__ import annotations

import difflib
import re
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from nas.core.cost_limits import COSTS, parse_limit
from nas.core.durations import parse_duration
from nas.core.errors import InvalidGenotype, UserError, unknown_name
from nas.core.genotype import Genotype
from nas.data.reading import ALLOWED as READING_ALLOWED
from nas.data.reading import Reading, normalise
from nas.option_values import (
    ALLOWED_VALUES,
    Folder,
    RunsFolder,
    Scalar,
    Whole,
    as_labels,
    as_list,
    as_ratios,
    as_value_lists,
    format_option,
    refuse_bool,
)

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
        alias_generator=format_option,
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
    objective: Annotated[list[str], BeforeValidator(as_list)] = Field(default_factory=list)
    from_: str | None = None
    genotype: str | None = None
    warm_start: str | None = None
    first: dict[str, str] = Field(default_factory=dict)
    continue_: str | None = None
    known: Whole = Field(0, ge=0)
    pin: dict[str, Scalar] = Field(default_factory=dict)
    restrict: Annotated[dict[str, list[Scalar]], BeforeValidator(as_value_lists)] = Field(default_factory=dict)
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
    normal: Annotated[list[str], BeforeValidator(as_labels)] = Field(default_factory=list)
    labelled: Annotated[float, BeforeValidator(refuse_bool)] = Field(1.0, gt=0, le=1, allow_inf_nan=False)
    weight_sharing: Literal["none", "inherit", "supernet"] = "none"
    grow: bool = False
    max_parameters: str | None = None
    max_macs: str | None = None
    max_memory: str | None = None
    max_latency: str | None = None
    track: Annotated[list[str], BeforeValidator(as_list)] = Field(default_factory=list)
    max_failures: Whole | None = Field(None, ge=0)
    keep_weights: Whole | None = Field(None, ge=1)
    epoch_size: Whole | None = Field(None, ge=1)
    finalists: Whole | None = Field(None, ge=0, le=100)
    final_share: float | None = Field(None, gt=0, lt=1, allow_inf_nan=False)
    usual: bool = True
    evaluate: bool = True
    proposals: Whole = Field(PROPOSALS, ge=1, le=PROPOSALS)
    checkpoint_every: Whole = Field(1, ge=1)
    prune: Annotated[list[float], BeforeValidator(as_ratios)] = Field(default_factory=list)

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
OPTIONS = {format_option(name): name for name in RunConfig.model_fields}
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
        name = format_option(str(key))
        if name not in OPTIONS:
            raise unknown_name(f"--config {path}: option", str(key), OPTIONS)
        options[OPTIONS[name]] = value
    return options


def _make_user_error(error: ValidationError, source: str) -> UserError:
    first = error.errors()[0]
    option = format_option(str(first["loc"][0]))
    where = f"{source}: " if source else ""
    if first["type"] == "extra_forbidden":
        nearest = difflib.get_close_matches(option, OPTIONS, n=1)
        hint = f"unknown option, did you mean {nearest[0]!r}?" if nearest else "unknown option"
        return UserError(f"{where}--{option}", first["input"], ", ".join(sorted(OPTIONS)), why=hint)
    allowed = ALLOWED_VALUES.get(option) or _describe_range(option, first["msg"])
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
