"""Supernets of cells: every edge holds every operation, mixed by weights that are learned.

Liu, Simonyan & Yang 2019 (DARTS) mix by a softmax; Dong & Yang 2019 (GDAS) draw one operation for every step;
Xu et al. 2020 (PC-DARTS) mix a part of the channels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.supernet import Supernet
from search_spaces.cells.derivation import NONE, edge_name, node_name
from search_spaces.operations import OPERATIONS

Edges = Mapping[tuple[int, int], tuple[str, ...]]
"""What the edge (source, target) may hold."""


class Architecture(nn.Module):
    """The log-weights of all relaxed choices, shared by all cells of a name; new ones are nearly equal.

    Log-weights go into the softmax as they are. A Gumbel softmax takes them as logits as well: of their
    probabilities it would take the softmax a second time, and draw nearly uniformly.

    Args:
        cells: the edges of every cell, by the cell's name.
    """

    def __init__(self, cells: Mapping[str, Edges], plan: Supernet) -> None:
        super().__init__()
        self.choices: dict[str, tuple[str, ...]] = {}
        for cell, edges in cells.items():
            for (source, target), operations in edges.items():
                self.choices[edge_name(cell, source, target)] = operations
            if plan.edge_normalisation:
                for target in sorted({target for _, target in edges}):
                    sources = tuple(str(source) for source, end in edges if end == target)
                    self.choices[node_name(cell, target)] = sources
        self.log_weights = nn.ParameterList(
            nn.Parameter(1e-3 * torch.randn(len(options))) for options in self.choices.values()
        )
        self._index = {name: index for index, name in enumerate(self.choices)}
        self._sampled, self._temperatures = plan.relaxation == "gumbel", plan.temperature
        self._temperature = plan.temperature[0]
        self._noise: list[Tensor] | None = None

    def draw(self, progress: float, generator: torch.Generator) -> None:
        """Begin a step at a fraction of the training in [0, 1]: sampled architectures draw new noise."""
        if self._sampled:
            hot, cold = self._temperatures
            self._temperature = hot + (cold - hot) * progress
            self._noise = [
                -torch.empty_like(row, requires_grad=False).exponential_(generator=generator).log()
                for row in self.log_weights
            ]

    def settle(self) -> None:
        """No noise from now on: a sampled architecture is its strongest."""
        self._noise = None

    def weights(self, name: str) -> Tensor:
        """The probabilities of a choice, or one of its options alone, which has the gradient of a soft choice."""
        row = self.log_weights[self._index[name]]
        if not self._sampled:
            return F.softmax(row, dim=0)
        if self._noise is None:
            return F.one_hot(row.argmax(), len(row)).to(row)
        # GDAS, equations 3 and 4
        soft = F.softmax((row + self._noise[self._index[name]]) / self._temperature, dim=0)
        hard = F.one_hot(soft.argmax(), len(row)).to(soft)
        return hard - soft.detach() + soft

    def shares(self, name: str) -> Tensor:
        """The shares of a node's edges; always soft."""
        return F.softmax(self.log_weights[self._index[name]], dim=0)

    @property
    def sampled(self) -> bool:
        """Whether one operation is drawn for an edge, rather than all mixed."""
        return self._sampled

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

    def forward(self, x: Tensor, weights: Tensor, only: int | None = None) -> Tensor:
        """(N, C, H, W) and (operations,) to (N, C, H, W); `only` one operation is computed where it is given."""
        part = x[:, : self.mixed]
        total = torch.zeros_like(part)
        for index, (name, operation) in enumerate(zip(self._names, self.operations, strict=True)):
            if name != NONE and only in (None, index):
                total = total + weights[index] * operation(part)
        if self.parts == 1:
            return total
        return F.channel_shuffle(torch.cat([total, x[:, self.mixed :]], 1), self.parts)


class MixedCell(nn.Module):
    """A cell with all edges; its output is the last node, the only one that no edge leaves."""

    def __init__(
        self, name: str, edges: Edges, channels: int, norm: str, act: str, architecture: Architecture, plan: Supernet
    ) -> None:
        super().__init__()
        self.name, self.architecture = name, architecture
        self.normalised = plan.edge_normalisation
        self.ends = tuple(edges)
        parts = plan.partial_channels
        self.edges = nn.ModuleList(MixedEdge(names, channels, norm, act, parts) for names in edges.values())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        values = [x]
        for target in range(1, max(end for _, end in self.ends) + 1):
            values.append(self._node(target, values))
        return values[-1]

    def _node(self, target: int, values: list[Tensor]) -> Tensor:
        total = torch.zeros_like(values[0])
        shares = iter(self.architecture.shares(node_name(self.name, target))) if self.normalised else None
        for (source, end), edge in zip(self.ends, self.edges, strict=True):
            if end == target:
                weights = self.architecture.weights(edge_name(self.name, source, target))
                only = int(weights.argmax()) if self.architecture.sampled else None
                value = edge(values[source], weights, only)
                total = total + (value if shares is None else next(shares) * value)
        return total


def _without_scale(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        if isinstance(child, nn.GroupNorm):
            setattr(module, name, nn.GroupNorm(child.num_groups, child.num_channels, affine=False))
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
