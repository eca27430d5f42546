"""The modules that a cell is made of. They stand alone: the exporter copies their source."""

from __future__ import annotations

from torch import Tensor, nn


class Node(nn.Module):
    """The sum of `operations`, each applied to the earlier node that `inputs` names; node 0 is the cell's input."""

    def __init__(self, inputs: tuple[int, ...], operations: list[nn.Module]) -> None:
        super().__init__()
        self.inputs = inputs
        self.operations = nn.ModuleList(operations)

    def forward(self, earlier: list[Tensor]) -> Tensor:
        """Earlier nodes (N, C, ...) each, to this node of the same shape."""
        total: Tensor | None = None
        for source, operation in zip(self.inputs, self.operations, strict=True):
            value = operation(earlier[source])
            total = value if total is None else total + value
        assert total is not None
        return total


class Cell(nn.Module):
    """A directed acyclic graph of nodes; its output is the sum of the nodes that `outputs` names."""

    def __init__(self, nodes: list[nn.Module], outputs: tuple[int, ...]) -> None:
        super().__init__()
        self.nodes = nn.ModuleList(nodes)
        self.outputs = outputs

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), or (N, C, T), to the same shape."""
        values = [x]
        for node in self.nodes:
            values.append(node(values))
        total = values[self.outputs[0]]
        for output in self.outputs[1:]:
            total = total + values[output]
        return total
