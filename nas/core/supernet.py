"""Supernets: all architectures of a space trained as one, and what is derived from them (Liu, Simonyan & Yang 2019)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np

from nas.core.genotype import Genotype
from nas.core.space import Choose, Generator, Shape

if TYPE_CHECKING:
    from torch import nn

Alphas = Mapping[str, Mapping[str, float]]
"""The log-weights (not probabilities) of what each relaxed choice may be: edge -> operation -> log-weight. Where
edges have shares of their own: node -> earlier node's number -> log-weight."""


@dataclass(frozen=True)
class Supernet:
    """How a supernet is to be trained; a proposal's genotype fixes whatever is not relaxed.

    Attributes:
        epochs: passes over the training part, of which weights and alphas see one half each.
        order: 1 takes the weights for the best ones (xi = 0 in DARTS), 2 differentiates through a step of theirs.
        relaxation: ``softmax`` mixes all operations of an edge (DARTS); ``gumbel`` draws one for every step, and
            differentiates as if it were soft (GDAS, Dong & Yang 2019).
        temperature: of the Gumbel softmax at the beginning and at the end.
        partial_channels: K; one in K channels go through the mixtures, the others pass (PC-DARTS, Xu et al. 2020).
        edge_normalisation: a node's edges have log-weights of their own (PC-DARTS).
        max_skips: the most skip connections of a derived cell; the training ends where it keeps having more (DARTS+,
            Liang et al. 2019). None for no guard.
        warm_up: epochs at the beginning in which weights alone are trained.
        samples: how many further genotypes to draw from the final alphas.
        learning_rate, betas, weight_decay: of Adam, for the alphas. None: 3e-4 as in the paper, and more where there
            are fewer steps than there (about 20,000), so that the alphas can go as far.
    """

    epochs: int
    order: Literal[1, 2] = 1
    relaxation: Literal["softmax", "gumbel"] = "softmax"
    temperature: tuple[float, float] = (10.0, 0.1)
    partial_channels: int = 1
    edge_normalisation: bool = False
    max_skips: int | None = None
    warm_up: int = 0
    samples: int = 0
    learning_rate: float | None = None
    betas: tuple[float, float] = (0.5, 0.999)
    weight_decay: float = 1e-3

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Supernet:
        """The inverse of dataclasses.asdict, also after JSON, which knows no tuples."""
        fields: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in document.items()}
        return cls(**fields)


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

    def relax(self, genotype: Genotype, shape: Shape, plan: Supernet) -> nn.Module:
        """The supernet around a base, with new weights from torch's global generator, for images (N, *shape).

        Its attribute ``architecture`` is the module of its log-weights; all other parameters are weights. See
        search_spaces.supernet.Architecture for what it can do.
        """

    def derive(self, genotype: Genotype, alphas: Alphas, max_skips: int | None = None) -> Derived:
        """The valid genotype, near a base, that these log-weights stand for."""


def probabilities(log_weights: Mapping[str, float]) -> dict[str, float]:
    """The softmax of an edge's log-weights."""
    values = np.array(list(log_weights.values()), dtype=float)
    exponents = np.exp(values - values.max())
    return dict(zip(log_weights, (exponents / exponents.sum()).tolist(), strict=True))


def entropy(alphas: Alphas) -> float:
    """The mean entropy of the edges' operations, in nats; the shares of edges do not count."""
    operations = [row for row in alphas.values() if not all(option.isdigit() for option in row)]
    rows = [np.array(list(probabilities(row).values())) for row in operations]
    return float(np.mean([-(row * np.log(np.maximum(row, 1e-300))).sum() for row in rows]))


def perturbed(alphas: Alphas, generator: Generator) -> dict[str, dict[str, float]]:
    """The log-weights plus Gumbel noise: an edge's strongest operation is then a draw of its softmax (Gumbel-max)."""
    return {
        edge: {operation: value + float(generator.gumbel()) for operation, value in log_weights.items()}
        for edge, log_weights in alphas.items()
    }
