"""The pair and its generators' modules. They stand alone: the exporter copies their source."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Gan(nn.Module):
    """A generator and a discriminator.

    Attributes:
        latent: how many numbers an image is made from.
        condition: what both are told of an image, ``none``, ``label`` or ``vector``; see nas.core.space.Condition.
    """

    def __init__(self, generator: nn.Module, discriminator: nn.Module, latent: int, condition: str = "none") -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator
        self.latent = latent
        self.condition = condition

    def forward(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """Noise (N, latent) to images (N, C, H, W) in [0, 1]."""
        images: Tensor = self.generator(noise) if condition is None else self.generator(noise, condition)
        return images


class Layers(nn.Module):
    """Layers in a row; those that are ``styled`` are given the style (N, width) as well."""

    styled = True

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """What the last layer gives."""
        for layer in self.layers:
            x = layer(x, style) if getattr(layer, "styled", False) else layer(x)
        return x


class ConditionalScale(nn.Module):
    """Scales and shifts each channel by what a style says.

    After a batch normalisation without scale and shift of its own this is conditional batch normalisation (de Vries et
    al. 2017, section 3), with one embedding for all layers as in Brock et al. 2019, section 3.
    """

    styled = True
    channel_arguments = (("channels", "input"), ("width", "style"))

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.channels = channels
        self.width = width
        self.change = nn.Linear(width, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """Maps (N, channels, H, W) or vectors (N, channels), and styles (N, width), to what has the shape of x."""
        scale, shift = self.change(style).chunk(2, dim=1)
        if x.dim() == 4:
            scale, shift = scale[:, :, None, None], shift[:, :, None, None]
        changed: Tensor = x * (1 + scale) + shift
        return changed


class OneHot(nn.Module):
    """Labels (N,) to vectors (N, size) of zeros and a one."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, labels: Tensor) -> Tensor:
        """As floats."""
        return F.one_hot(labels, self.size).float()


class Concatenation(nn.Module):
    """`first` of the one input beside `second` of the other."""

    def __init__(self, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.first = first
        self.second = second

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(N, ...) and (N, ...) to (N, the sum of both widths)."""
        return torch.cat([self.first(x), self.second(condition)], dim=1)


class Joint(nn.Module):
    """Layers over what is made of an input and its condition together."""

    def __init__(self, inputs: nn.Module, layers: nn.Module) -> None:
        super().__init__()
        self.inputs = inputs
        self.layers = layers

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """(N, ...) and conditions (N,) or (N, size) to (N, ...)."""
        joint: Tensor = self.layers(self.inputs(x, condition))
        return joint


class Generator(nn.Module):
    """Noise to images by layers in a row.

    Args:
        layers: from the code to images in [0, 1].
        code: of noise and condition, the code; None if the noise is the code.
        style: of the condition, the style that the layers are given; None for no style.
    """

    def __init__(self, layers: nn.Module, code: nn.Module | None = None, style: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = layers
        self.code = code
        self.style = style

    def forward(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """Noise (N, latent) and, if it is conditional, conditions (N,) or (N, size) to images (N, C, H, W)."""
        code = noise if self.code is None else self.code(noise, condition)
        images: Tensor = self.layers(code) if self.style is None else self.layers(code, self.style(condition))
        return images


class UpCell(nn.Module):
    """A generator's cell: two halves, the second of which also gets features of earlier cells (Gong et al. 2019, 3.1).

    Args:
        first: doubles the size; what it gives is the feature that later cells may take.
        second: keeps the size.
        shortcut: from the cell's input to what is added to its output, or None.
        sources: the earlier cells whose features are added between the halves.
        skips: what brings each of these features to this cell's size and width.
    """

    def __init__(
        self,
        first: nn.Module,
        second: nn.Module,
        shortcut: nn.Module | None,
        sources: tuple[int, ...],
        skips: list[nn.Module],
    ) -> None:
        super().__init__()
        self.first = first
        self.second = second
        self.shortcut = shortcut
        self.sources = sources
        self.skips = nn.ModuleList(skips)

    def forward(self, x: Tensor, earlier: list[Tensor], style: Tensor | None) -> tuple[Tensor, Tensor]:
        """The feature and the output, (N, C, H, W) both; `earlier` are the features so far, which stay as they are."""
        feature: Tensor = self.first(x, style)
        middle = feature
        for source, skip in zip(self.sources, self.skips, strict=True):
            middle = middle + skip(earlier[source])  # not in place: the feature is handed on as it is
        output: Tensor = self.second(middle, style)
        if self.shortcut is not None:
            output = output + self.shortcut(x)
        return feature, output


class UpCells(nn.Module):
    """A code to a map, cells in a row, and the image."""

    styled = True

    def __init__(self, start: nn.Module, cells: list[nn.Module], end: nn.Module) -> None:
        super().__init__()
        self.start = start
        self.cells = nn.ModuleList(cells)
        self.end = end

    def forward(self, code: Tensor, style: Tensor | None = None) -> Tensor:
        """Codes (N, latent) to images (N, C, H, W)."""
        x: Tensor = self.start(code)
        features: list[Tensor] = []
        for cell in self.cells:
            feature, x = cell(x, features, style)
            features.append(feature)
        images: Tensor = self.end(x)
        return images
