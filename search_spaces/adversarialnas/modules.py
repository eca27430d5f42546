"""What AdversarialNAS's graphs need besides layers. The modules stand alone: the exporter copies their source."""

from __future__ import annotations

from torch import Tensor, nn


class Part(nn.Module):
    """The numbers of a code from `first` on and before `end`."""

    def __init__(self, first: int, end: int) -> None:
        super().__init__()
        self.first = first
        self.end = end

    def forward(self, code: Tensor) -> Tensor:
        """(N, latent) to (N, end - first)."""
        return code[:, self.first : self.end]


class Nothing(nn.Module):
    """Zeros, whatever comes in: what a graph gives in which no path leads to the output.

    They are still a function of the input, so that what comes before has a gradient, of zero.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.channels = channels
        self.height = height
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to (N, channels, height, width)."""
        zero = 0 * x.flatten(1).sum(1)
        return zero[:, None, None, None].expand(-1, self.channels, self.height, self.width)


class MixedGraph(nn.Module):
    """Nodes that each sum what arrives, of a supernet whose edges may hold nothing.

    What nothing reaches is left out, as it is in a candidate's own graph: a convolution of zeros would add its bias.

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
