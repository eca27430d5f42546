"""Supernets: all architectures of a space trained as one, and what is derived from them (Liu, Simonyan & Yang 2019)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from nas.core.errors import UserError
from nas.core.genotype import Genotype
from nas.core.space import Choose, Generator, SearchSpace, Shape

if TYPE_CHECKING:
    from torch import nn

Alphas = Mapping[str, Mapping[str, float]]
"""The log-weights (not probabilities) of what each relaxed choice may be: edge -> operation -> log-weight. Where
edges have shares of their own: node -> earlier node's number -> log-weight."""

Path = Mapping[str, tuple[str, ...]]
"""One candidate within a supernet: relaxed choice -> the operations it holds there. A choice that is not among them
holds nothing; an operation that comes twice counts twice."""

Relaxation = Literal["softmax", "gumbel", "gumbel_softmax"]
_WARM_UP = 0.3


@dataclass(frozen=True)
class SupernetPlan:
    """How a supernet is to be trained; a proposal's genotype fixes whatever is not relaxed.

    Attributes:
        epochs: passes over the training part, of which weights and alphas see one half each. None: as many as the
            evaluator thinks right.
        order: 1 takes the weights for the best ones (xi = 0 in DARTS), 2 differentiates through a step of theirs.
        relaxation: ``softmax`` mixes all operations of an edge (DARTS); ``gumbel`` draws one for every step, and
            differentiates as if it were soft (GDAS, Dong & Yang 2019); ``gumbel_softmax`` mixes all by a softmax with
            new noise for every step (AdversarialNAS, Gao et al. 2020). None: what the evaluator thinks right.
        temperature: of the Gumbel softmax at the beginning and at the end; it falls linearly for ``gumbel``,
            geometrically for ``gumbel_softmax``.
        partial_channels: K; one in K channels go through the mixtures, the others pass (PC-DARTS, Xu et al. 2020).
        edge_normalisation: a node's edges have log-weights of their own (PC-DARTS).
        max_skips: the most skip connections of a derived cell; a supernet of autoencoders is trained no further where
            it keeps having more (DARTS+, Liang et al. 2019). None for no guard.
        warm_up: epochs at the beginning in which weights alone are trained. None: 3 in 10.
        samples: how many further genotypes to draw from the final alphas.
        learning_rate, betas, weight_decay: of Adam, for the alphas. None: 3e-4 as in the paper, and more where there
            are fewer steps than there (about 20,000), so that the alphas can go as far.
        paths: None to learn alphas, as above. Else there are none: every step trains the weights of one candidate,
            drawn anew (Guo et al. 2020) from these genotypes, by their texts, or from the whole space where there are
            none; of the rest `epochs` alone has a meaning.
        continues: the number of the trial whose supernet is trained further; None for new weights.
    """

    epochs: int | None
    order: Literal[1, 2] = 1
    relaxation: Relaxation | None = "softmax"
    temperature: tuple[float, float] = (10.0, 0.1)
    partial_channels: int = 1
    edge_normalisation: bool = False
    max_skips: int | None = None
    warm_up: int | None = 0
    samples: int = 0
    learning_rate: float | None = None
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 1e-3
    paths: tuple[str, ...] | None = None
    continues: int | None = None

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> SupernetPlan:
        """The inverse of dataclasses.asdict, also after JSON, which knows no tuples."""
        fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in document.items()}
        return cls(**fields)

    def completed(self, epochs: int, relaxation: Relaxation) -> SupernetPlan:
        """The plan, with what it leaves open as an evaluator thinks right.

        Raises:
            UserError: it warms up for all of the epochs.
        """
        epochs = self.epochs or epochs
        warm_up = math.floor(_WARM_UP * epochs) if self.warm_up is None else self.warm_up
        if warm_up >= epochs:
            raise UserError("--set warm_up", warm_up, f"0 to {epochs - 1}", why=f"the supernet has {epochs} epochs")
        return replace(self, epochs=epochs, relaxation=self.relaxation or relaxation, warm_up=warm_up)

    @property
    def schedule(self) -> tuple[int, int]:
        """The epochs, and how many of them are for warming up.

        Raises:
            ValueError: the plan leaves them open; see `completed`.
        """
        if self.epochs is None or self.warm_up is None:
            raise ValueError("the plan does not say how long")
        return self.epochs, self.warm_up


@dataclass(frozen=True)
class Derived:
    """What a supernet's alphas stand for.

    Attributes:
        skips: how many skip connections the cell with the most of them would have without the guard.
    """

    genotype: Genotype
    skips: int


@runtime_checkable
class Relaxable(Protocol):
    """The space can make a supernet of what surrounds a genotype, and derive genotypes from it."""

    def base(self, choose: Choose) -> Genotype:
        """A genotype to relax: grown by `choose`, but for decisions that a supernet needs.

        Raises:
            InvalidGenotype: the space, as it is restricted, has nothing to relax.
        """

    def relax(self, genotype: Genotype, shape: Shape, plan: SupernetPlan) -> nn.Module:
        """The supernet around a base, with new weights from torch's global generator, for images (N, *shape).

        Its attribute ``architecture`` is the module of its log-weights; all other parameters are weights. See
        search_spaces.supernet.Architecture for what it can do.
        """

    def derive(self, genotype: Genotype, alphas: Alphas, max_skips: int | None = None) -> Derived:
        """The valid genotype, near a base, that these log-weights stand for."""


@runtime_checkable
class SharesWeights(Relaxable, Protocol):
    """The space's genotypes are paths through its supernets, so candidates can be run with a supernet's weights."""

    def path(self, genotype: Genotype) -> Path:
        """What a genotype holds at every relaxed choice of a supernet around a base that it differs from there alone.

        A supernet's ``architecture`` follows it; see search_spaces.supernet.Architecture.
        """

    def paths(self, base: Genotype) -> SearchSpace:
        """The genotypes that are paths through the supernet around a base: this space with all else as the base has it.

        Raises:
            UserError: the base is alone.
        """


def probabilities(log_weights: Mapping[str, float]) -> dict[str, float]:
    """The softmax of an edge's log-weights."""
    values = np.array(list(log_weights.values()), dtype=float)
    exponents = np.exp(values - values.max())
    return dict(zip(log_weights, (exponents / exponents.sum()).tolist(), strict=True))


def entropy(alphas: Alphas) -> float:
    """The mean entropy of the edges' operations, in nats.

    The shares of edges do not count, nor do choices with one option.
    """
    operations = [row for row in alphas.values() if len(row) > 1 and not all(option.isdigit() for option in row)]
    rows = [np.array(list(probabilities(row).values())) for row in operations]
    return float(np.mean([-(row * np.log(np.maximum(row, 1e-300))).sum() for row in rows]))


def perturbed(alphas: Alphas, generator: Generator) -> dict[str, dict[str, float]]:
    """The log-weights plus Gumbel noise: an edge's strongest operation is then a draw of its softmax (Gumbel-max)."""
    return {
        edge: {operation: value + float(generator.gumbel()) for operation, value in log_weights.items()}
        for edge, log_weights in alphas.items()
    }
