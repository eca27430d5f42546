"""Small modules for the tests of the exporter, which reads their source from here."""

import copy

from torch import Tensor, nn
from torch.nn import ReLU

from nas.core.genotype import Genotype
from nas.export.card import Card

CARD = Card(
    title="title",
    description="description",
    genotype=Genotype.of("toy", 1, {}),
    shape=(1, 8, 8),
    kind="image",
    dataset="digits",
    parts="10 to train",
    notes=(),
    objectives=("mse",),
    metrics={"mse": 0.01},
    test={},
    hyperparameters={},
    epochs=1,
    seed=1,
    strategy="random",
    run="run",
    trial=1,
)


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
