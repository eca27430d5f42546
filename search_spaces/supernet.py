"""Supernets: every choice holds every option, mixed by weights that are learned.

Liu, Simonyan & Yang 2019 (DARTS) mix by a softmax; Dong & Yang 2019 (GDAS) draw one operation for every step; Gao et
al. 2020 (AdversarialNAS) mix by a softmax with noise; Xu et al. 2020 (PC-DARTS) mix a part of the channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.supernet import Path, SupernetPlan
from search_spaces.cells.derivation import NONE, edge_name, node_name
from search_spaces.operations.layers import OPERATIONS

Edges = Mapping[tuple[int, int], tuple[str, ...]]
"""What the edge (source, target) may hold."""


def choices_of(cells: Mapping[str, Edges], plan: SupernetPlan) -> dict[str, tuple[str, ...]]:
    """The relaxed choices of cells, by the cell's name: what edges hold, and if they have shares, a node's edges."""
    choices = {}
    for cell, edges in cells.items():
        for (source, target), operations in edges.items():
            choices[edge_name(cell, source, target)] = operations
        if plan.edge_normalisation:
            for target in sorted({target for _, target in edges}):
                choices[node_name(cell, target)] = tuple(str(source) for source, end in edges if end == target)
    return choices


class Architecture(nn.Module):
    """The log-weights of all relaxed choices, shared by all that have a choice's name; new ones are nearly equal.

    Log-weights go into the softmax as they are. A Gumbel softmax takes them as logits as well: of their
    probabilities it would take the softmax a second time, and draw nearly uniformly.

    Args:
        choices: the options of every choice.
    """

    def __init__(self, choices: Mapping[str, tuple[str, ...]], plan: SupernetPlan) -> None:
        super().__init__()
        if plan.relaxation is None:
            raise ValueError("the plan does not say how to relax")
        self.choices = dict(choices)
        self.log_weights = nn.ParameterList(
            nn.Parameter(1e-3 * torch.randn(len(options))) for options in self.choices.values()
        )
        self._index = {name: index for index, name in enumerate(self.choices)}
        self._relaxation, self._temperatures = plan.relaxation, plan.temperature
        self._temperature = plan.temperature[0]
        self._noise: list[Tensor] | None = None
        self._path: dict[str, tuple[int, ...]] | None = None

    def draw(self, progress: float, generator: torch.Generator) -> None:
        """Begin a step at a fraction of the training in [0, 1]: Gumbel softmaxes draw new noise."""
        if self._relaxation == "softmax":
            return
        hot, cold = self._temperatures
        linear = self._relaxation == "gumbel"
        self._temperature = hot + (cold - hot) * progress if linear else hot * (cold / hot) ** progress
        self._noise = [
            -torch.empty_like(row, requires_grad=False).exponential_(generator=generator).log()
            for row in self.log_weights
        ]

    def settle(self) -> None:
        """No noise from now on: an architecture that is drawn is its strongest."""
        self._noise = None

    def follow(self, path: Path | None) -> None:
        """Be this candidate alone from now on, each of its operations with weight one; None: be all again.

        Raises:
            ValueError: the path holds what this supernet does not.
        """
        if path is None:
            self._path = None
            return
        unknown = [n for n, held in path.items() if not set(held) <= set(self.choices.get(n, ()))]
        if unknown:
            raise ValueError(f"{unknown[0]} of the path is {path[unknown[0]]}, the supernet has no such choice")
        self._path = {
            name: tuple(options.index(option) for option in path.get(name, ()))
            for name, options in self.choices.items()
        }

    @property
    def follows(self) -> bool:
        """Whether it is one candidate alone."""
        return self._path is not None

    def weights(self, name: str) -> Tensor:
        """The weights of a choice's options, (options,).

        Of a mixture, probabilities; of a draw, one alone, which has the gradient of a soft choice; of a path, how often
        it holds each.
        """
        row = self.log_weights[self._index[name]]
        if self._path is not None:
            counts = [self._path[name].count(option) for option in range(len(row))]
            return torch.tensor(counts, dtype=row.dtype, device=row.device)
        if self._relaxation == "softmax":
            return F.softmax(row, dim=0)
        if self._noise is None:
            if self._relaxation == "gumbel_softmax":
                return F.softmax(row, dim=0)
            return F.one_hot(row.argmax(), len(row)).to(row)
        # GDAS, equations 3 and 4; AdversarialNAS, section 3
        soft = F.softmax((row + self._noise[self._index[name]]) / self._temperature, dim=0)
        if self._relaxation == "gumbel_softmax":
            return soft
        hard = F.one_hot(soft.argmax(), len(row)).to(soft)
        return hard - soft.detach() + soft

    def held(self, name: str, weights: Tensor) -> tuple[int, ...]:
        """Which options of a choice with these `weights` are to be computed; the others have no part in it."""
        if self._path is not None:
            return tuple(sorted(set(self._path[name])))
        return (int(weights.argmax()),) if self._relaxation == "gumbel" else tuple(range(len(weights)))

    def shares(self, name: str) -> Tensor:
        """The shares of a node's edges; always soft."""
        return F.softmax(self.log_weights[self._index[name]], dim=0)

    def alphas(self) -> dict[str, dict[str, float]]:
        """The log-weights as plain numbers; see nas.core.supernet.Alphas."""
        rows = (row.detach().tolist() for row in self.log_weights)
        return {
            name: dict(zip(self.choices[name], row, strict=True)) for name, row in zip(self._index, rows, strict=True)
        }


class MixedEdge(nn.Module):
    """All operations of an edge, weighted (equation 2); of K channels one goes through, the others pass.

    Normalisations have no scale and shift of their own, which would undo the weights, and pooling is normalised
    (DARTS, section 2.2 and its code).
    """

    def __init__(self, operations: tuple[str, ...], channels: int, norm: str, act: str, parts: int) -> None:
        super().__init__()
        self.parts = parts
        self.mixed = channels // parts
        self.operations = nn.ModuleList(
            nn.Identity() if name == NONE else _without_scale(OPERATIONS[name](self.mixed, norm, act))
            for name in operations
        )
        self._names = operations
        for index, name in enumerate(operations):
            if "pool" in name and norm == "batch":
                normalised = nn.BatchNorm2d(self.mixed, affine=False, track_running_stats=False)
                self.operations[index] = nn.Sequential(self.operations[index], normalised)

    def forward(self, x: Tensor, weights: Tensor, held: tuple[int, ...]) -> Tensor:
        """(N, C, H, W) and (operations,) to (N, C, H, W); only the operations `held` are computed."""
        part = x[:, : self.mixed]
        total = torch.zeros_like(part)
        for index in held:
            if self._names[index] != NONE:
                total = total + weights[index] * self.operations[index](part)
        if self.parts == 1:
            return total
        return F.channel_shuffle(torch.cat([total, x[:, self.mixed :]], 1), self.parts)


class MixedCell(nn.Module):
    """A cell with all edges; its output is the last node, the only one that no edge leaves.

    Of a path, it is the sum of the nodes that no edge of the path leaves, as it is in the candidate itself.
    """

    def __init__(
        self,
        name: str,
        edges: Edges,
        channels: int,
        norm: str,
        act: str,
        architecture: Architecture,
        plan: SupernetPlan,
    ) -> None:
        super().__init__()
        self.name, self.architecture = name, architecture
        self.normalised = plan.edge_normalisation
        self.ends = tuple(edges)
        parts = plan.partial_channels
        self.edges = nn.ModuleList(MixedEdge(names, channels, norm, act, parts) for names in edges.values())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        weights = [self.architecture.weights(edge_name(self.name, *ends)) for ends in self.ends]
        held = [self.architecture.held(edge_name(self.name, *e), w) for e, w in zip(self.ends, weights, strict=True)]
        used = set(range(len(self.ends)))
        if self.architecture.follows:
            used = {i for i, operations in enumerate(held) if operations}
        values = [x]
        for target in range(1, max(end for _, end in self.ends) + 1):
            values.append(self._node(target, values, weights, held, used))
        left = {self.ends[i][0] for i in used}
        outputs = sorted({self.ends[i][1] for i in used} - left)
        total = values[outputs[0]]
        for output in outputs[1:]:
            total = total + values[output]
        return total

    def _node(
        self,
        target: int,
        values: list[Tensor],
        weights: list[Tensor],
        held: list[tuple[int, ...]],
        used: set[int],
    ) -> Tensor:
        total = torch.zeros_like(values[0])
        shared = self.normalised and not self.architecture.follows
        shares = iter(self.architecture.shares(node_name(self.name, target))) if shared else None
        for index, ((source, end), edge) in enumerate(zip(self.ends, self.edges, strict=True)):
            if end == target and index in used:
                value = edge(values[source], weights[index], held[index])
                total = total + (value if shares is None else next(shares) * value)
        return total


class Mixture(nn.Module):
    """All modules that a choice may stand for, weighted; ``none`` among its options is no module.

    Args:
        name: of the choice.
        modules: of its options but ``none``; what they give is of one shape.
    """

    def __init__(self, name: str, modules: Mapping[str, nn.Module], architecture: Architecture) -> None:
        super().__init__()
        self.name, self.architecture = name, architecture
        self.options = nn.ModuleDict(modules)

    def forward(self, x: Tensor) -> Tensor | None:
        """What the modules give of x; None where nothing is held."""
        weights = self.architecture.weights(self.name)
        names = self.architecture.choices[self.name]
        total: Tensor | None = None
        for index in self.architecture.held(self.name, weights):
            if names[index] != NONE:
                value = weights[index] * self.options[names[index]](x)
                total = value if total is None else total + value
        return total


def _without_scale(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            setattr(module, name, nn.GroupNorm(child.num_groups, child.num_channels, affine=False))
        elif isinstance(child, nn.InstanceNorm2d):
            setattr(module, name, nn.InstanceNorm2d(child.num_features, affine=False))
        elif isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.BatchNorm2d(child.num_features, affine=False, track_running_stats=False))
        else:
            _without_scale(child)
    return module


def without_running_statistics(model: nn.Module) -> nn.Module:
    """The model with batch normalisation by the batch alone, also when it is scored.

    Averages over many mixtures, or many drawn architectures, would be those of none of them (as Dong & Yang 2020
    do in NAS-Bench-201's searches); and a forward pass leaves the model as it was, as equation 8 needs.
    """
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
    return model
