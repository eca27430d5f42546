"""Graphs whose edges may hold nothing, as in a supernet whose choices include ``none``."""

from __future__ import annotations

from torch import Tensor, nn


class MixedGraph(nn.Module):
    """Nodes that each sum what arrives; what nothing reaches is left out, as it is in a candidate's own graph.

    A convolution of zeros would else add its bias.

    Args:
        inputs: of every node, the earlier nodes that its edges come from; 0 is the graph's input.
        operations: of every node, its edges' modules, which give None where they hold nothing.
        nothing: what the graph gives where nothing reaches its last node.
    """

    def __init__(self, inputs: list[tuple[int, ...]], operations: list[list[nn.Module]], nothing: nn.Module) -> None:
        super().__init__()
        self.inputs = inputs
        self.operations = nn.ModuleList(nn.ModuleList(row) for row in operations)
        self.nothing = nothing

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to what the last node is."""
        values: list[Tensor | None] = [x]
        for sources, row in zip(self.inputs, self.operations, strict=True):
            total: Tensor | None = None
            for source, operation in zip(sources, row.children(), strict=True):
                before = values[source]
                value = None if before is None else operation(before)
                if value is not None:
                    total = value if total is None else total + value
            values.append(total)
        last = values[-1]
        nothing: Tensor = self.nothing(x)
        return nothing if last is None else last
