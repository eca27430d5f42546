"""AutoGAN's space of generators, as published (Gong, Chang, Jiang & Wang 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas.core.genotype import Genotype
from nas.core.space import Link, Shape
from search_spaces.choices import Asker, ChoiceSpace
from search_spaces.gan.description import describe_training, describe_up_cell
from search_spaces.gan.space import decide_up_cell, draw_stages, name_stage
from search_spaces.gan.training import decide_recipe

if TYPE_CHECKING:
    from torch import nn

CELLS = 3
UP = ("nearest", "bilinear", "transposed_convolution")


class AutoganSpace(ChoiceSpace):
    """Three cells of 36 kinds, and which features of earlier cells each takes in: 36 * 72 * 144 = 373,248 generators.

    The discriminator (Miyato et al. 2018, figure 8) and the training are fixed. Channels are those of the authors'
    search, 128 and 64; the networks that they train at length have twice as many. For other images than theirs,
    32x32, the generator begins at the size that three halvings leave.
    """

    name = "autogan"
    task = "gan"
    latent = 128
    generator_channels = 128
    discriminator_channels = 64

    def decide(self, ask: Asker) -> None:
        """Ask for each cell's order of layers, normalisation, up-sampling, shortcut and features taken in."""
        decide_recipe(ask)
        for stage in range(CELLS):
            here = ask.within(name_stage(stage))
            here.structure("order", ("pre_activation", "post_activation"), usual="pre_activation")
            decide_up_cell(here, stage, UP)

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """A search_spaces.gan.modules.Gan for images (N, *shape) in [0, 1]."""
        from search_spaces.autogan.build import build_pair

        self.validate(genotype)
        fixed: dict[str, Any] = {
            "generator": "cells",
            "generator_activation": "relu",
            "generator_stages": CELLS,
            "generator_width": self.generator_channels,
            "generator_growth": 1.0,
            "latent": self.latent,
        }
        fixed |= {f"{name_stage(stage)}.block": "residual" for stage in range(CELLS)}
        return build_pair(fixed | dict(genotype.content), shape, self.discriminator_channels)

    def graphs(self, genotype: Genotype) -> dict[str, list[Link]]:
        """How its cells take each other in; see nas.core.space.Drawable."""
        return draw_stages(genotype.content, CELLS)

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line: the cells."""
        cells = " | ".join(describe_up_cell(genotype.content, stage) for stage in range(CELLS))
        return f"G [{cells}]; D of AutoGAN; {describe_training(genotype.content)}".replace("_", " ")
