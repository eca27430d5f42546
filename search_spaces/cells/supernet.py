"""Cells of a supernet: every edge that a cell may have holds every operation that it may hold.

Liu, Simonyan & Yang 2019 (DARTS) mix all of them; Xu et al. 2020 (PC-DARTS) mix a part of the channels.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.core.supernet import SupernetPlan
from search_spaces.cells.derivation import name_edge, name_node
from search_spaces.operations.layers import build_normalisation, build_operation
from search_spaces.operations.names import NONE, OPERATIONS
from search_spaces.supernet import Architecture

Edges = Mapping[tuple[int, int], tuple[str, ...]]
"""What the edge (source, target) may hold."""


def list_choices(cells: Mapping[str, Edges], plan: SupernetPlan) -> dict[str, tuple[str, ...]]:
    """The relaxed choices of cells, by the cell's name: what edges hold, and if they have shares, a node's edges."""
    choices = {}
    for cell, edges in cells.items():
        for (source, target), operations in edges.items():
            choices[name_edge(cell, source, target)] = operations
        if plan.edge_normalisation:
            for target in sorted({target for _, target in edges}):
                choices[name_node(cell, target)] = tuple(str(source) for source, end in edges if end == target)
    return choices


class MixedEdge(nn.Module):
    """All operations of an edge, weighted (equation 2); of K channels one goes through, the others pass.

    Normalisations have no scale and shift of their own, which would undo the weights, and pooling is normalised
    (DARTS, section 2.2 and its code).
    """

    def __init__(
        self, operations: tuple[str, ...], channels: int, norm: str, act: str, parts: int, dimensions: int = 2
    ) -> None:
        super().__init__()
        self.parts = parts
        self.mixed = channels // parts
        self.operations = nn.ModuleList(
            nn.Identity()
            if name == NONE
            else build_operation(name, self.mixed, norm, act, affine=False, dimensions=dimensions)
            for name in operations
        )
        self._names = operations
        for index, name in enumerate(operations):
            if name != NONE and OPERATIONS[name].pools and norm == "batch":
                normalisation = build_normalisation(norm, self.mixed, affine=False, dimensions=dimensions)
                self.operations[index] = nn.Sequential(self.operations[index], *normalisation)

    def forward(self, x: Tensor, weights: Tensor, held: tuple[int, ...]) -> Tensor:
        """(N, C, ...) and (operations,) to (N, C, ...); only the operations `held` are computed."""
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
        dimensions: int = 2,
    ) -> None:
        super().__init__()
        self.name, self.architecture = name, architecture
        self.normalised = plan.edge_normalisation
        self.ends = tuple(edges)
        parts = plan.partial_channels
        self.edges = nn.ModuleList(MixedEdge(names, channels, norm, act, parts, dimensions) for names in edges.values())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), or (N, C, T), to the same shape."""
        architecture = self.architecture
        weights = [architecture.weights(name_edge(self.name, *ends)) for ends in self.ends]
        held = [architecture.held(name_edge(self.name, *ends), w) for ends, w in zip(self.ends, weights, strict=True)]
        used = [i for i, operations in enumerate(held) if operations]
        values = [x]
        for target in range(1, max(end for _, end in self.ends) + 1):
            arriving = [i for i in used if self.ends[i][1] == target]
            given = [self.edges[i](values[self.ends[i][0]], weights[i], held[i]) for i in arriving]
            if self.normalised and not architecture.follows:
                shares = architecture.shares(name_node(self.name, target))
                given = [share * value for share, value in zip(shares, given, strict=True)]
            values.append(sum(given, start=torch.zeros_like(x)))
        left = {self.ends[i][0] for i in used}
        outputs = sorted({self.ends[i][1] for i in used} - left)
        return functools.reduce(torch.add, [values[output] for output in outputs])
