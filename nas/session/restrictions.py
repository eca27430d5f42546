"""The space of a run, restricted to what its options, its objectives and an architecture leave of it."""

from __future__ import annotations

import fnmatch
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nas import registry
from nas.config import RunConfig
from nas.core.errors import InvalidGenotype, UserError
from nas.core.evaluator import Assumption, Evaluator
from nas.core.genotype import Genotype
from nas.core.space import (
    Choice,
    Renaming,
    Restrictable,
    SearchSpace,
    Shapeable,
    Traceable,
    Value,
    Versioned,
    check_arising,
)
from nas.core.trial import Proposal
from nas.session.given import NO_OBJECTS, Given

if TYPE_CHECKING:
    from nas.data.dataset import Dataset
    from nas.data.pairs import DomainPair


def load_space(config: RunConfig, given: Given = NO_OBJECTS) -> SearchSpace:
    """Load the space that is configured, with nothing restricted yet."""
    if given.space is not None:
        return given.space
    space: SearchSpace = registry.make("space", config.space, registry.load("space", config.space))
    return space


def fit_space(space: SearchSpace, data: Dataset | DomainPair, version: int | None = None) -> SearchSpace:
    """Make a space that of a version, and of models for examples of the data's shape.

    Raises:
        UserError: it can no longer be what it was in that version.
    """
    if version is not None and isinstance(space, Versioned):
        try:
            space = space.of_version(version)
        except InvalidGenotype as error:
            fits = "runs that this version reads"
            raise UserError("RUN", f"trials of version {version}", fits, why=str(error)) from None
    return space.shaped(data.shape) if isinstance(space, Shapeable) else space


def restrict_space(space: SearchSpace, config: RunConfig) -> SearchSpace:
    """Restrict a space by ``--restrict`` and ``--pin``.

    Raises:
        UserError: it cannot be restricted, or the options contradict each other.
    """
    for option, wanted in (
        ("--restrict", {site: tuple(values) for site, values in config.restrict.items()}),
        ("--pin", {site: (value,) for site, value in config.pin.items()}),
    ):
        if not wanted:
            continue
        if not isinstance(space, Restrictable):
            raise UserError(option, next(iter(wanted)), "nothing: this space cannot be narrowed")
        space = space.restrict(wanted, option)
    if isinstance(space, Restrictable) and config.pin and config.restrict:
        # what --restrict asked for may arise no longer since --pin
        check_arising(space.choices(), config.restrict, "--restrict", "never arises together with the other options")
    return space


def fix_architecture(config: RunConfig, genotype: Genotype, space: SearchSpace) -> RunConfig:
    """Pin every decision of `genotype` that is not about training, so that only hyperparameters are searched.

    Decisions of the genotype that can no longer arise with the other options are not pinned.

    Args:
        space: with models for the data, and not restricted.

    Raises:
        UserError: the genotype is of another space, or the other options contradict it.
    """
    source = config.from_
    narrowed = restrict_space(space, config)
    if not isinstance(space, Traceable) or not isinstance(narrowed, Restrictable):
        raise UserError("--from", source, "spaces that list and narrow their decisions", why=f"{space.name} does not")
    try:
        decisions = space.trace(genotype)
    except InvalidGenotype as error:
        raise UserError("--from", source, f"a genotype of the space {space.name}", why=str(error)) from None
    made = _rename({d.choice.site: d.value for d in decisions}, space)
    hyperparameters = {d.choice.site for d in decisions if d.choice.role == "hyperparameter"}

    def repeat(choice: Choice) -> Value:
        value = made.get(choice.site)
        return choice.values[0] if value is None or value not in choice.values else value

    left, arising = narrowed.choices(), narrowed.grow(repeat).content
    pins = {}
    for site, value in made.items():
        if site not in arising or site in hyperparameters:
            continue
        if value not in left[site].values:
            options: dict[str, Collection[str]] = {"--pin": config.pin, "--restrict": config.restrict}
            named = [name for name, patterns in options.items() if any(fnmatch.fnmatchcase(site, p) for p in patterns)]
            others = ", ".join(map(str, left[site].values))
            why = f"has {site} = {value}, which {named[0] if named else 'this space for this data'} excludes"
            raise UserError("--from", source, f"a genotype with {site} = {others}", why=why)
        pins[site] = value
    return config.model_copy(update={"pin": {**pins, **config.pin}, "from_": None})


def _rename(content: Mapping[str, Value], space: SearchSpace) -> dict[str, Value]:
    """Decisions with those that have other sites since a later version under both."""
    renamed = space.renamed if isinstance(space, Renaming) else {}
    return {**{site: content[earlier] for site, earlier in renamed.items() if earlier in content}, **content}


def adapt_genotypes(first: Mapping[str, str], space: SearchSpace) -> list[Proposal]:
    """Make candidates of a space from genotypes of an earlier study, each once.

    A decision that the space does not leave as it was takes the nearest value that is a number, else what is usual.
    Of spaces that do not list their decisions, the genotypes are taken that are in them as they are.

    Args:
        first: their texts, by where they are from.

    Raises:
        UserError: one is of another space, or none is in this.
    """
    made: dict[Genotype, Proposal] = {}
    for origin, text in first.items():
        genotype = Genotype(text)
        if genotype.space != space.name:
            why = f"is of the space {genotype.space}"
            raise UserError("--warm-start", origin, f"runs of the space {space.name}", why=why)
        if isinstance(space, Restrictable):
            genotype, changes = _adapt(genotype, space)
            origin += f", with {', '.join(changes)}" if changes else ""
        else:
            try:
                space.validate(genotype)
            except InvalidGenotype:
                continue
        made.setdefault(genotype, Proposal(genotype, origin=origin))
    if first and not made:
        raise UserError("--warm-start", next(iter(first)), f"runs with genotypes of this space {space.name}")
    return list(made.values())


def _adapt(genotype: Genotype, space: SearchSpace) -> tuple[Genotype, list[str]]:
    """The candidate of a space that is most like a genotype, and which of its decisions are others."""

    kept = _rename(genotype.content, space)

    def answer(choice: Choice) -> Value:
        value, values = kept.get(choice.site), choice.values
        if value in values:
            return values[values.index(value)]
        other = values[0] if choice.usual not in values or choice.usual is None else choice.usual
        if isinstance(value, (int, float)) and choice.ordered:
            other = min(values, key=lambda one: abs(float(one) - value))
        return other

    made = space.grow(answer)
    return made, [f"{site} {value}" for site, value in made.content.items() if kept.get(site, value) != value]


def assume_restrictions(
    space: SearchSpace, evaluator: Evaluator, objectives: Sequence[str], config: RunConfig
) -> tuple[SearchSpace, tuple[Assumption, ...]]:
    """Restrict the decisions that the objectives need restricted and the user has said nothing about.

    Raises:
        UserError: two objectives need what excludes each other, or what leaves the user's own restrictions no sense.
    """
    if not isinstance(space, Restrictable):
        return space, ()
    made: dict[str, Assumption] = {}
    for objective in objectives:
        for assumption in evaluator.assumptions(objective):
            site, first = assumption.site, made.get(assumption.site)
            if first is not None and not {*first.values} & {*assumption.values}:
                wanted = ", ".join(map(str, assumption.values))
                raise UserError(
                    "--objective", objective, "objectives that one candidate can have",
                    why=f"needs {site} = {wanted} ({assumption.reason}), "
                    f"which is {', '.join(map(str, first.values))} already ({first.reason})",
                )  # fmt: skip
            space, more = assume(space, [assumption], config)
            made |= {one.site: one for one in more}
    assert isinstance(space, Restrictable)
    if made:
        needs = "; ".join(f"{one.site} = {', '.join(map(str, one.values))} ({one.reason})" for one in made.values())
        for option, patterns in (("--pin", config.pin), ("--restrict", config.restrict)):
            check_arising(space.choices(), patterns, option, f"never arises with what the objectives need: {needs}")
    return space, tuple(made.values())


def assume(
    space: SearchSpace, assumptions: Sequence[Assumption], config: RunConfig
) -> tuple[SearchSpace, tuple[Assumption, ...]]:
    """Restrict decisions that the user has said nothing about, of those that there are."""
    decided, made = [*config.pin, *config.restrict], []
    for assumption in assumptions:
        choice = space.choices().get(assumption.site) if isinstance(space, Restrictable) else None
        if choice is None or any(fnmatch.fnmatchcase(assumption.site, pattern) for pattern in decided):
            continue
        values = tuple(value for value in choice.values if value in assumption.values)
        if isinstance(space, Restrictable) and values and values != choice.values:
            space = space.restrict({assumption.site: values}, "--objective")
            made.append(replace(assumption, values=values))
    return space, tuple(made)


def refuse_unaware(given: Given, assumed: Sequence[Assumption]) -> None:
    """Refuse a strategy that was made before the space was restricted: it would propose what the run refuses.

    Raises:
        UserError: naming what is assumed.
    """
    if given.ready_strategy is not None and assumed:
        needs = "; ".join(f"{one.site} = {', '.join(map(str, one.values))} ({one.reason})" for one in assumed)
        name = type(given.ready_strategy).__name__
        allowed = (
            f"{name} itself or a function that makes one, or a space that is restricted so, or these decisions pinned"
        )
        raise UserError(
            "strategy", f"an object of {name}", allowed, why=f"does not know what this run assumes: {needs}"
        )


def restore_assumptions(space: SearchSpace, assumed: tuple[Assumption, ...]) -> SearchSpace:
    """Restrict a space as it was when the run began."""
    for assumption in assumed:
        assert isinstance(space, Restrictable)
        space = space.restrict({assumption.site: assumption.values}, "--objective")
    return space
