"""Search spaces: small programs that ask for their choices (the idea is pyglove's)."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np

from nas.core.errors import UserError
from nas.core.genotype import Genotype

if TYPE_CHECKING:
    from torch import nn

Value = str | int | float | bool
"""What a choice can be answered with: a JSON scalar."""

Role = Literal["operation", "input", "structure", "hyperparameter"]
"""What a choice decides: an edge's operation, the node an edge comes from (Real et al.'s hidden state), the
network around the cells, or how it is trained."""

Shape = tuple[int, ...]
"""The shape of one example: (C, H, W) of an image, (D,) of a vector, (C, T) of a sequence of T steps."""


@dataclass(frozen=True)
class Choice:
    """One choice point.

    Attributes:
        site: its name, unique within a genotype, dotted: ``encoder_cell.node1.operation0``.
        values: what it can be answered with; finite (a continuous quantity is offered as a grid).
        role: what it decides.
        ordered: neighbouring values are alike (a width, a learning rate).
        usual: what a practitioner would try first; None where nothing speaks for any value.
        level: in a hierarchy of motifs that of the motif it belongs to, from 2: operations are level 1; else 0.
    """

    site: str
    values: tuple[Value, ...]
    role: Role
    ordered: bool = False
    usual: Value | None = None
    level: int = 0


@dataclass(frozen=True)
class Decision:
    """A choice and its answer."""

    choice: Choice
    value: Value


Choose = Callable[[Choice], Value]
"""Answers a choice: a random generator, an Optuna trial, a controller, a recorded genotype."""

Generator = np.random.Generator


class SearchSpace(Protocol):
    """Genotypes, and how to make models of them. What else a space can do has protocols of its own."""

    @property
    def name(self) -> str:
        """The space's name, part of each of its genotypes."""

    @property
    def version(self) -> int:
        """Raised whenever old genotypes would no longer mean what they meant."""

    @property
    def task(self) -> str:
        """What its models are trained for, unless the user says otherwise: a registered name, or ``module:Class``."""

    @property
    def data_kinds(self) -> tuple[str, ...]:
        """The kinds of data that its models are for; see nas.data.dataset.Dataset.kind."""

    def grow(self, choose: Choose) -> Genotype:
        """Ask `choose` at every choice point that arises, in order, and give the genotype so made.

        A choice with one value only is not asked for.

        Raises:
            InvalidGenotype: an answer that is not among its choice's values.
        """

    def validate(self, genotype: Genotype) -> None:
        """Raise InvalidGenotype, naming the path to the fault, unless the genotype is one of this space."""

    def hyperparameters(self, genotype: Genotype) -> Mapping[str, Value]:
        """What the evaluator needs to know to train it, by name."""

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """The model, with new weights from torch's global generator, for images (N, *shape)."""

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line that tells a person what the architecture is."""


@runtime_checkable
class Traceable(Protocol):
    """The space can list the decisions that a genotype consists of."""

    def trace(self, genotype: Genotype) -> tuple[Decision, ...]:
        """The inverse of grow: every decision in the order it arises, single-valued ones included."""


@runtime_checkable
class Evolvable(Protocol):
    """The space can vary its genotypes."""

    def mutate(self, genotype: Genotype, generator: Generator) -> tuple[Genotype, str]:
        """A valid genotype one mutation away, and what was changed, in words."""

    def crossover(self, first: Genotype, second: Genotype, generator: Generator) -> Genotype:
        """A valid genotype mixed from two, the fitter first where there is one."""


@runtime_checkable
class Regularisable(Protocol):
    """The space knows how a training is kept from learning its data by heart."""

    def regularise(self, genotype: Genotype) -> tuple[Genotype, ...]:
        """Genotypes with more regularisation, whose models have the same weights, by name and shape."""


@runtime_checkable
class Genetic(Protocol):
    """The space's genotypes are made of genes with names: what has one name in two genotypes has one origin.

    Its `crossover` aligns genes by their names. Of other spaces the decisions are the genes (see Traceable).
    """

    def genes(self, genotype: Genotype) -> Mapping[str, float]:
        """The weight of every gene, by its innovation: a name that the same structure has everywhere."""


@runtime_checkable
class Canonical(Protocol):
    """The space can tell when two genotypes are the same candidate."""

    def canonical_form(self, genotype: Genotype) -> str:
        """A text that is the same for genotypes that differ in writing only: two edges in another order, say."""


Link = tuple[str, str, str]
"""From a node of a graph to a later one, and what it holds: an operation's name, or nothing."""


@runtime_checkable
class Drawable(Protocol):
    """The space can say of which graphs a genotype's network is made, so that they are drawn for people."""

    def graphs(self, genotype: Genotype) -> Mapping[str, Sequence[Link]]:
        """The graphs by what they are called; none where there is nothing but a row of layers.

        A node sums what the links bring that enter it; those that none enters, or none leaves, are inputs and outputs.
        No links at all: the identity.
        """


@dataclass(frozen=True)
class Condition:
    """What a conditional model is told of an image.

    Attributes:
        kind: its label, (N,) int64, or a vector, (N, size) float32, such as the embedding of a sentence.
        size: the number of classes, or the vector's length.
        share: of the training's examples, that models may be trained with it of.
    """

    kind: Literal["label", "vector"]
    size: int
    share: float = 1.0


@runtime_checkable
class Conditionable(SearchSpace, Protocol):
    """The space has models that are told something of the images they make.

    Before it is conditioned, a space has all decisions that any condition brings.
    """

    def conditioned(self, condition: Condition | None) -> Conditionable:
        """The same space, restrictions included, with models for this condition alone; None: data says nothing."""


@runtime_checkable
class Shapeable(SearchSpace, Protocol):
    """The space has other decisions for other examples: by their kind, or by how many values they have."""

    def shaped(self, shape: Shape) -> Shapeable:
        """The same space, restrictions included, with models for examples of this shape alone."""


@runtime_checkable
class Versioned(SearchSpace, Protocol):
    """The space can be what it was in an earlier version."""

    def of_version(self, version: int) -> Versioned:
        """The same space, restrictions included, as it was in that version, whose genotypes it makes and reads.

        Raises:
            InvalidGenotype: it cannot read genotypes of that version.
        """


@runtime_checkable
class Renaming(Protocol):
    """Some of the space's decisions were called otherwise in earlier versions."""

    @property
    def renamed(self) -> Mapping[str, str]:
        """What they were called, by their sites now: they mean the same."""


@runtime_checkable
class Restrictable(SearchSpace, Protocol):
    """The space can be narrowed by the user."""

    def restrict(self, restrictions: Mapping[str, tuple[Value, ...]], option: str = "--restrict") -> Restrictable:
        """A smaller space of the same kind, whose sites (names or patterns with ``*``) keep only these values.

        Raises:
            UserError: a site or a value that does not exist, or a restriction that nothing satisfies.
        """

    def choices(self) -> Mapping[str, Choice]:
        """Every choice point that can arise, by site, in the order in which they first arise."""

    def size(self) -> float:
        """How many genotypes there are (an estimate where conditions make counting infeasible)."""


def check_arising(choices: Mapping[str, Choice], patterns: Iterable[str], option: str, why: str) -> None:
    """Refuse patterns of sites that match none of the choices that can arise.

    Raises:
        UserError: naming the first such pattern as a value of `option`.
    """
    for pattern in patterns:
        if pattern not in choices and not fnmatch.filter(choices, pattern):
            raise UserError(option, pattern, "decisions that arise with the others that are fixed", why=why)


def drawing(generator: Generator, usual: float = 0.0) -> Choose:
    """Draws every choice uniformly from its values, or with probability `usual` takes the usual one."""

    def draw(choice: Choice) -> Value:
        if usual > 0 and choice.usual is not None and generator.random() < usual:
            return choice.usual
        return choice.values[int(generator.integers(len(choice.values)))]

    return draw


def sample(space: SearchSpace, generator: Generator, usual: float = 0.0) -> Genotype:
    """A genotype whose every choice is drawn uniformly from its values, or with probability `usual` is the usual."""
    return space.grow(drawing(generator, usual))


def generator_for(seed: int, *key: int) -> Generator:
    """The random generator of a run's `seed` and a key (a trial's number): the same whenever it is asked for."""
    return np.random.default_rng([seed, *key])
