"""Small modules for the tests of the exporter, which reads their source from here."""

import copy

from torch import Tensor, nn
from torch.nn import ReLU


class Leaf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 0.5


class NamesLeaf(nn.Module):
    """Has no Leaf in its tree; its source makes one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return Leaf()(x)


class Block(nn.Sequential):
    def __init__(self, width: int) -> None:
        super().__init__(nn.Conv2d(width, width, 1), nn.ReLU())
        self.width = width


class Edges(nn.Module):
    def __init__(self, edges: dict[str, nn.Module]) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(edges)

    def forward(self, x: Tensor) -> Tensor:
        return sum(edge(x) for edge in self.edges.values())


class Copies(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return copy.copy(x)


class NamesTorchsClass(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return ReLU()(x)


class Image(nn.Module):
    """Has the name of something that the exported file imports."""

    def forward(self, x: Tensor) -> Tensor:
        return x
