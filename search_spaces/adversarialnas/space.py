"""AdversarialNAS's joint space of generators and discriminators, as published (Gao et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.core.genotype import Genotype
from nas.core.space import Link, Shape, Value
from nas.core.supernet import Alphas, Path, SupernetPlan
from search_spaces.adversarialnas.derivation import derive_operations
from search_spaces.adversarialnas.topology import draw_cell
from search_spaces.choices import Asker, is_within, select_within
from search_spaces.gan.description import describe_training
from search_spaces.gan.training import decide_recipe
from search_spaces.operations.names import NONE, SKIP
from search_spaces.weight_sharing import WeightSharingSpace

if TYPE_CHECKING:
    from torch import nn

CELLS = {
    half: tuple(f"{half}_stage{cell}" for cell in range(count))
    for half, count in (("generator", 3), ("discriminator", 4))
}
"""The cells of each half, within whose names their edges' operations are asked for."""
EDGES = 5
CONVOLUTIONS = ("conv_1x1", "conv_3x3", "conv_5x5", "dilated_3x3", "dilated_5x5")
NORMAL = (NONE, SKIP, *CONVOLUTIONS)
UP = ("nearest", "bilinear", "transposed_convolution")
DOWN = ("average", "max", "conv_3x3", "conv_5x5", "dilated_3x3", "dilated_5x5")


class AdversarialNasSpace(WeightSharingSpace):
    """Three up-cells, four down-cells: 1.69e38 pairs.

    An up-cell has two edges of 3 ways of up-sampling and five of 7 operations: (3**2 * 7**5)**3 generators. A
    down-cell has five edges of 7 operations and two of 6 ways of down-sampling; the first three edges of the first
    cell change the number of channels and can only be one of the 5 convolutions: 5**3 * 7**2 * 6**2 * (7**5 * 6**2)**3
    discriminators. The paper gives the order of magnitude, 10**38; the numbers are those of the authors' program.

    Training is fixed. Channels are those of the authors' search, 160 and 80; the networks that they train at length
    have 256 and 128.
    """

    name = "adversarialnas"
    task = "gan"
    cells = (*CELLS["generator"], *CELLS["discriminator"])
    latent = 120
    generator_channels = 160
    discriminator_channels = 80

    def decide(self, ask: Asker) -> None:
        """Ask for the operation of every edge."""
        decide_recipe(ask)
        for cell in CELLS["generator"]:
            here = ask.within(cell)
            for edge in range(2):
                here.operation(f"up{edge}", UP, usual="nearest")
            for edge in range(EDGES):
                here.operation(f"edge{edge}", NORMAL, usual="conv_3x3")
        for number, cell in enumerate(CELLS["discriminator"]):
            here = ask.within(cell)
            for edge in range(EDGES):
                here.operation(f"edge{edge}", CONVOLUTIONS if number == 0 and edge < 3 else NORMAL, usual="conv_3x3")
            for edge in range(2):
                here.operation(f"down{edge}", DOWN, usual="average")

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """A search_spaces.gan.modules.Gan for images (N, *shape) in [0, 1]."""
        from search_spaces.adversarialnas.build import build_pair

        self.validate(genotype)
        return build_pair(genotype.content, shape, self.latent, self.generator_channels, self.discriminator_channels)

    def relax(self, genotype: Genotype, shape: Shape, plan: SupernetPlan) -> nn.Module:
        """The paper's own supernet, with log-weights for every edge of every cell; see Relaxable.relax."""
        from search_spaces.adversarialnas.supernet import relax_pair

        channels = self.generator_channels, self.discriminator_channels
        return relax_pair(self.list_allowed(genotype), shape, self.latent, channels, plan)

    def derive_decisions(self, base: Genotype, alphas: Alphas, max_skips: int | None) -> tuple[dict[str, Value], int]:
        """The strongest operations, and the authors' rules; see search_spaces.adversarialnas.derivation."""
        return derive_operations(alphas, CELLS, max_skips)

    def path(self, genotype: Genotype) -> Path:
        """The operation of every edge; see nas.core.supernet.SharesWeights."""
        operations = {site: value for site, value in genotype.content.items() if is_within(site, *self.cells)}
        return {site: (name,) for site, name in operations.items() if name != NONE}

    def graphs(self, genotype: Genotype) -> dict[str, list[Link]]:
        """Every cell of both halves; see nas.core.space.Drawable."""
        drawn = {cell: draw_cell(select_within(genotype.content, cell)) for cell in self.cells}
        return {cell: links for cell, links in drawn.items() if links}

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line: every cell's operations."""
        content = genotype.content
        halves = []
        for letter, cells in zip("GD", CELLS.values(), strict=True):
            words = [" ".join(map(str, select_within(content, cell).values())) for cell in cells]
            halves.append(f"{letter} [{' | '.join(words)}]")
        return "; ".join([*halves, describe_training(content).replace("_", " ")])
