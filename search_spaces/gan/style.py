"""The style-based generator (Karras, Laine & Aila 2019). The modules stand alone: the exporter copies their source."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class EqualisedLinear(nn.Module):
    """A linear layer whose weights are scaled when it is used, and learn at `rate` times the learning rate.

    Weights start as N(0, 1/rate) and are used times gain * rate / sqrt(inputs) (Karras et al. 2018, section 4.1); the
    layer's own start is that of He et al. with this gain, whatever initialisation the rest of the network has.
    """

    channel_arguments = (("inputs", "kept"), ("outputs", "output"))  # the scale depends on the inputs

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0, rate: float = 1.0) -> None:
        super().__init__()
        self.inputs = inputs
        self.outputs = outputs
        self.gain = gain
        self.rate = rate
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs) to (N, outputs)."""
        return F.linear(x, self.weight * (self.gain * self.rate / self.inputs**0.5), self.bias * self.rate)


class MappingNetwork(nn.Module):
    """Codes z to intermediate latents w: z normalised to mean square 1, then `depth` layers (section 2; 8 there)."""

    channel_arguments = (("inputs", "kept"),)

    def __init__(self, inputs: int, width: int, depth: int) -> None:
        super().__init__()
        self.inputs = inputs
        self.width = width
        self.depth = depth
        self.layers = nn.ModuleList(
            # a gain of sqrt 2 for the leaky activation, a hundredth of the learning rate (appendix C)
            EqualisedLinear(inputs if i == 0 else width, width, 2**0.5, 0.01)
            for i in range(depth)
        )

    def forward(self, z: Tensor) -> Tensor:
        """(N, inputs) to (N, width)."""
        w: Tensor = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            w = F.leaky_relu(layer(w), 0.2)
        return w


class AdaptiveInstanceNorm(nn.Module):
    """Every channel of every image normalised to mean 0 and variance 1, then scaled and shifted by w (equation 1)."""

    channel_arguments = (("channels", "input"),)

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.channels = channels
        self.width = width
        self.normalise = nn.InstanceNorm2d(channels)
        self.style = EqualisedLinear(width, 2 * channels)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Maps (N, channels, H, W) and w (N, width) to maps of the same shape."""
        scale, shift = self.style(w).chunk(2, dim=1)
        styled: Tensor = self.normalise(x) * (1 + scale[:, :, None, None]) + shift[:, :, None, None]
        return styled


class Noise(nn.Module):
    """Adds noise to every pixel, with a strength learned for each channel (section 2).

    It is new for each image in training. In evaluation it is one fixed map, kept with the weights: an image then
    follows from its latent alone, before and after export, and activations keep the variance they were trained with.
    """

    channel_arguments = (("channels", "input"),)

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self.channels = channels
        self.height = height
        self.width = width
        self.strength = nn.Parameter(torch.zeros(channels))
        self.fixed: Tensor
        self.register_buffer("fixed", torch.randn(1, 1, height, width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, channels, height, width) to the same shape."""
        noise = torch.randn_like(x[:, :1]) if self.training else self.fixed
        return x + self.strength[:, None, None] * noise


class StyleBlock(nn.Module):
    """Layers, noise or none, the activation, and adaptive instance normalisation, in this order (figure 1b)."""

    def __init__(self, layers: nn.Module, noise: nn.Module, activation: nn.Module, normalise: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.noise = noise
        self.activation = activation
        self.normalise = normalise

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """Maps (N, C, H, W) and w (N, width) to maps, perhaps of another size."""
        styled: Tensor = self.normalise(self.activation(self.noise(self.layers(x))), w)
        return styled


class StyleGenerator(nn.Module):
    """A learned constant through blocks, each styled by w; the latent enters nowhere else.

    Args:
        mapping: of the code, w.
        blocks: StyleBlocks from the constant to the last map.
        end: from the last map to images in [0, 1].
        channels, height, width: of the constant.
        mixing: the probability that an image's blocks from a random one on take another image's w (section 3.1).
        truncation: in evaluation w is drawn towards its average by this factor; 1 changes nothing (appendix B).
        code: of noise and condition, the code; None if the noise is the code.
    """

    channel_arguments = (("channels", "constant"),)

    def __init__(
        self,
        mapping: MappingNetwork,
        blocks: list[nn.Module],
        end: nn.Module,
        channels: int,
        height: int,
        width: int,
        mixing: float = 0.0,
        truncation: float = 1.0,
        code: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.mapping = mapping
        self.blocks = nn.ModuleList(blocks)
        self.end = end
        self.channels = channels
        self.height = height
        self.width = width
        self.mixing = mixing
        self.truncation = truncation
        self.code = code
        self.constant = nn.Parameter(torch.randn(1, channels, height, width))
        self.average: Tensor
        self.register_buffer("average", torch.zeros(mapping.width))

    def forward(self, noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """Noise (N, latent) and, if it is conditional, conditions (N,) or (N, size) to images (N, C, H, W)."""
        w = self.intermediate(noise, condition)
        x = self.constant.expand(w.shape[0], -1, -1, -1)
        if self.training:
            with torch.no_grad():
                self.average.lerp_(w.mean(0).float(), 0.005)
            styles = self.mixed(w, noise, condition)
        else:
            styles = [self.average + self.truncation * (w - self.average)] * len(self.blocks)
        for block, style in zip(self.blocks, styles, strict=True):
            x = block(x, style)
        images: Tensor = self.end(x)
        return images

    def intermediate(self, noise: Tensor, condition: Tensor | None) -> Tensor:
        """Noise and condition to w (N, width)."""
        w: Tensor = self.mapping(noise if self.code is None else self.code(noise, condition))
        return w

    def mixed(self, w: Tensor, noise: Tensor, condition: Tensor | None) -> list[Tensor]:
        """The style of every block: w, or from a random block on that of another image's noise, condition kept."""
        if self.mixing == 0 or len(self.blocks) < 2:
            return [w] * len(self.blocks)
        other = self.intermediate(noise.roll(1, 0), condition)
        cut = torch.randint(1, len(self.blocks), (w.shape[0], 1), device=w.device)
        mix = torch.rand(w.shape[0], 1, device=w.device) < self.mixing
        return [torch.where(mix & (cut <= i), other, w) for i in range(len(self.blocks))]
