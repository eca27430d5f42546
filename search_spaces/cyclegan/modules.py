"""What translates between two domains, and what judges it. They stand alone: the exporter copies their source."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class CycleGan(nn.Module):
    """Two translators, each the other's way back, and a discriminator of each domain (Zhu et al. 2017, figure 3).

    In the paper's letters: `a_to_b` is G: X -> Y, `b_to_a` is F: Y -> X, and the discriminators are D_X and D_Y.
    """

    def __init__(
        self, a_to_b: nn.Module, b_to_a: nn.Module, discriminator_a: nn.Module, discriminator_b: nn.Module
    ) -> None:
        super().__init__()
        self.a_to_b = a_to_b
        self.b_to_a = b_to_a
        self.discriminator_a = discriminator_a
        self.discriminator_b = discriminator_b

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) of A, in [0, 1], to images of B of the same shape."""
        translated: Tensor = self.a_to_b(images)
        return translated


class Translator(nn.Module):
    """Images to images of the same shape: down to small maps, through blocks, and up again.

    Args:
        start: from the image to maps of its size.
        down: stages, each of which halves the size.
        middle: blocks that keep it.
        up: as many stages, each of which doubles it.
        end: from maps to the image in [0, 1].
        skips: whether every stage up is followed by what entered the stage down beside it, as in a U-Net
            (Ronneberger et al. 2015; Isola et al. 2017, section 3.2.1).
    """

    def __init__(
        self,
        start: nn.Module,
        down: list[nn.Module],
        middle: nn.Module,
        up: list[nn.Module],
        end: nn.Module,
        skips: bool,
    ) -> None:
        super().__init__()
        self.start = start
        self.down = nn.ModuleList(down)
        self.middle = middle
        self.up = nn.ModuleList(up)
        self.end = end
        self.skips = skips

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to images of the same shape and range."""
        x = self.start(2 * images - 1)
        entered: list[Tensor] = []
        for stage in self.down:
            entered.append(x)
            x = stage(x)
        x = self.middle(x)
        for stage in self.up:
            x = stage(x)
            if self.skips:
                x = torch.cat([x, entered.pop()], dim=1)
        translated: Tensor = self.end(x)
        return translated


class Residual(nn.Module):
    """Its input and what layers make of it, added."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        added: Tensor = x + self.layers(x)
        return added


class PatchDiscriminator(nn.Module):
    """Images to a logit for every patch, the part of the image that it depends on (PatchGAN, Isola et al. 2017)."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] to logits (N, patches)."""
        logits: Tensor = self.layers(2 * images - 1)
        return logits.flatten(1)
