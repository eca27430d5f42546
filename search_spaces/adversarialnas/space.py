"""AdversarialNAS's joint space of generators and discriminators, as published (Gao et al. 2020)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from nas.core.errors import InvalidGenotype
from nas.core.genotype import Genotype
from nas.core.space import Choose, Shape
from nas.core.supernet import Alphas, Derived, Path, SupernetPlan
from search_spaces.choices import Asker, ChoiceSpace
from search_spaces.gan.derivation import derive_adversarialnas
from search_spaces.gan.describing import describe_training
from search_spaces.gan.training import decide_recipe

if TYPE_CHECKING:
    from torch import nn

GENERATOR_CELLS, DISCRIMINATOR_CELLS = 3, 4
EDGES = 5
CONVOLUTIONS = ("conv_1x1", "conv_3x3", "conv_5x5", "dilated_3x3", "dilated_5x5")
NORMAL = ("none", "skip", *CONVOLUTIONS)
UP = ("nearest", "bilinear", "transposed_convolution")
DOWN = ("average", "max", "conv_3x3", "conv_5x5", "dilated_3x3", "dilated_5x5")


class AdversarialNasSpace(ChoiceSpace):
    """Three up-cells, four down-cells: 1.69e38 pairs.

    An up-cell has two edges of 3 ways of up-sampling and five of 7 operations: (3**2 * 7**5)**3 generators. A
    down-cell has five edges of 7 operations and two of 6 ways of down-sampling; the first three edges of the first
    cell change the number of channels and can only be one of the 5 convolutions: 5**3 * 7**2 * 6**2 * (7**5 * 6**2)**3
    discriminators. The paper gives the order of magnitude, 10**38; the numbers are those of the authors' program.

    Training is fixed. Channels are those of the authors' search, 160 and 80; the networks that they train at length
    have 256 and 128.
    """

    name = "adversarialnas"
    latent = 120
    generator_channels = 160
    discriminator_channels = 80

    def decide(self, ask: Asker) -> None:
        """Ask for the operation of every edge."""
        decide_recipe(ask)
        for cell in range(GENERATOR_CELLS):
            here = ask.within(f"generator_stage{cell}")
            for edge in range(2):
                here.operation(f"up{edge}", UP, usual="nearest")
            for edge in range(EDGES):
                here.operation(f"edge{edge}", NORMAL, usual="conv_3x3")
        for cell in range(DISCRIMINATOR_CELLS):
            here = ask.within(f"discriminator_stage{cell}")
            for edge in range(EDGES):
                here.operation(f"edge{edge}", CONVOLUTIONS if cell == 0 and edge < 3 else NORMAL, usual="conv_3x3")
            for edge in range(2):
                here.operation(f"down{edge}", DOWN, usual="average")

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """A search_spaces.gan.modules.Gan for images (N, *shape) in [0, 1]."""
        from search_spaces.adversarialnas.build import build

        self.validate(genotype)
        return build(genotype.content, shape, self.latent, self.generator_channels, self.discriminator_channels)

    # -- nas.core.supernet.SharesWeights: the paper's own supernet

    def base(self, choose: Choose) -> Genotype:
        """Any genotype: all operations are relaxed; see Relaxable.base."""
        genotype = self.grow(choose)
        if not any(d.choice.role == "operation" and len(d.choice.values) > 1 for d in self.trace(genotype)):
            raise InvalidGenotype("generator_stage0", "every edge is decided, there is nothing to relax")
        return genotype

    def relax(self, genotype: Genotype, shape: Shape, plan: SupernetPlan) -> nn.Module:
        """The supernet, with log-weights for every edge of every cell; see Relaxable.relax."""
        from search_spaces.gan.supernet import relax_adversarialnas

        allowed = {d.choice.site: d.choice.values for d in self.trace(genotype)}
        channels = self.generator_channels, self.discriminator_channels
        return relax_adversarialnas(allowed, shape, self.latent, channels, plan)

    def derive(self, genotype: Genotype, alphas: Alphas, max_skips: int | None = None) -> Derived:
        """The strongest operations, and the authors' rules; see search_spaces.gan.derivation."""
        cells = {"generator": GENERATOR_CELLS, "discriminator": DISCRIMINATOR_CELLS}
        decided, skips = derive_adversarialnas(alphas, cells, max_skips)
        derived = Genotype.of(self.name, self.version, {**genotype.content, **decided})
        self.validate(derived)
        return Derived(derived, skips)

    def path(self, genotype: Genotype) -> Path:
        """The operation of every edge; see nas.core.supernet.SharesWeights."""
        operations = {d.choice.site: str(d.value) for d in self.trace(genotype) if d.choice.role == "operation"}
        return {site: (name,) for site, name in operations.items() if name != "none"}

    def paths(self, base: Genotype) -> Self:
        """Every operation is left open; see nas.core.supernet.SharesWeights."""
        fixed = {d.choice.site: (d.value,) for d in self.trace(base) if d.choice.role != "operation"}
        return self.restrict(fixed, "--weight-sharing")

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line: every cell's operations."""
        content = genotype.content
        halves = []
        for half, cells in (("generator", GENERATOR_CELLS), ("discriminator", DISCRIMINATOR_CELLS)):
            stages = [f"{half}_stage{cell}." for cell in range(cells)]
            words = [" ".join(str(v) for site, v in content.items() if site.startswith(stage)) for stage in stages]
            halves.append(f"{half[0].upper()} [{' | '.join(words)}]")
        return "; ".join([*halves, describe_training(content).replace("_", " ")])
