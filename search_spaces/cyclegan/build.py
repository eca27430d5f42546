"""From a CycleGAN's decisions to its modules (Zhu et al. 2017, section 7.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from nas.core.space import Shape
from search_spaces.cells.encodings import ENCODINGS
from search_spaces.choices import select_within
from search_spaces.cyclegan.modules import CycleGan, PatchDiscriminator, Residual, Translator
from search_spaces.operations.initialisation import apply_spectral_norm, initialise_weights
from search_spaces.operations.layers import (
    Size,
    build_activation,
    build_normalisation,
    build_up_sampling,
    compute_sizes,
    compute_widths,
)

Content = Mapping[str, Any]


def build_translators(content: Content, shape: Shape) -> CycleGan:
    """The model of validated decisions for images (N, *shape)."""
    back = "backward_" if content["directions"] == "own" else ""
    model = CycleGan(
        _build_generator(content, "generator", shape),
        _build_generator(content, f"{back}generator", shape),
        _build_discriminator(content, f"{back}discriminator", shape),
        _build_discriminator(content, "discriminator", shape),
    )
    initialise_weights(model, content["initialisation"])
    for name, half in (("discriminator_a", f"{back}discriminator"), ("discriminator_b", "discriminator")):
        if content[f"{half}.spectral_norm"]:  # after initialisation: it begins with the weights' singular vectors
            apply_spectral_norm(getattr(model, name))
    return model


def _build_generator(content: Content, half: str, shape: Shape) -> Translator:
    """c7s1-k, the stages down, the blocks, the stages up, c7s1 to the image (Johnson et al. 2016, and the U-Net)."""
    chosen = select_within(content, half)
    norm, act, padding, skips = (chosen[name] for name in ("normalisation", "activation", "padding", "skips"))
    spots = compute_sizes(shape, chosen["stages"])
    channels = compute_widths(chosen["width"], chosen["growth"], chosen["stages"] + 1)

    def build_layers(inputs: int, outputs: int, kernel: int, size: Size, stride: int = 1) -> nn.Module:
        convolution = _build_convolution(inputs, outputs, kernel, size, padding, stride=stride, bias=norm == "none")
        return nn.Sequential(convolution, *_build_normalisation(norm, outputs), build_activation(act))

    down: list[nn.Module] = []
    up: list[nn.Module] = []
    for stage in range(chosen["stages"]):
        before, after = spots[stage], spots[stage + 1]
        down.append(build_layers(channels[stage], channels[stage + 1], 3, before, stride=1 if before == after else 2))
    wide = channels[-1]  # of what enters the next stage up
    for stage in reversed(range(chosen["stages"])):
        before, after, width = spots[stage + 1], spots[stage], channels[stage]
        if before == after:
            up.append(build_layers(wide, width, 3, after))
        else:
            doubling = build_up_sampling(chosen["up_sampling"], wide, width, before, after, bias=norm == "none")
            up.append(nn.Sequential(*doubling, *_build_normalisation(norm, width), build_activation(act)))
        wide = 2 * width if skips else width
    return Translator(
        build_layers(shape[0], channels[0], 7, spots[0]),
        down,
        nn.Sequential(*(_build_block(content, half, channels[-1], spots[-1]) for _ in range(chosen["blocks"]))),
        up,
        nn.Sequential(_build_convolution(wide, shape[0], 7, spots[0], padding), nn.Sigmoid()),
        skips,
    )


def _build_block(content: Content, half: str, channels: int, size: Size) -> nn.Module:
    """R_k, two convolutions of 3 x 3 (section 7.2), or the same of another kind; or the searched cell."""
    chosen = select_within(content, half)
    norm, act, kind = chosen["normalisation"], chosen["activation"], chosen["block"]
    if kind == "cell":
        return ENCODINGS["edge"].build(content, f"{half}.cell", channels, norm, act)

    def build_convolution() -> list[nn.Module]:
        bias, padding = norm == "none", chosen["padding"]
        if kind == "separable":  # depthwise, then pointwise (Chollet 2017)
            depthwise = _build_convolution(channels, channels, 3, size, padding, groups=channels, bias=False)
            return [depthwise, nn.Conv2d(channels, channels, 1, bias=bias)]
        dilation = 2 if kind == "dilated" and min(size) > 2 else 1  # maps of 2 x 2 have nothing two further on
        return [_build_convolution(channels, channels, 3, size, padding, dilation=dilation, bias=bias)]

    first = [*build_convolution(), *_build_normalisation(norm, channels), build_activation(act)]
    return Residual(nn.Sequential(*first, *build_convolution(), *_build_normalisation(norm, channels)))


def _build_normalisation(name: str, channels: int) -> list[nn.Module]:
    """As elsewhere, but instance normalisation has no scale and shift of its own, as in the authors' code."""
    return build_normalisation(name, channels, affine=name != "instance")


def _build_convolution(
    inputs: int, outputs: int, kernel: int, size: Size, padding: str, *, dilation: int = 1, **more: Any
) -> nn.Conv2d:
    """A convolution that keeps the size, or halves it, rounded up, with stride 2; `more` is torch's."""
    margin = dilation * (kernel // 2)
    assert margin < min(size)  # else nothing is there to be reflected
    more["padding_mode"] = "reflect" if padding == "reflect" else "zeros"
    return nn.Conv2d(inputs, outputs, kernel, padding=margin, dilation=dilation, **more)


def _build_discriminator(content: Content, half: str, shape: Shape) -> PatchDiscriminator:
    """C_k in a row, each a convolution of 4 x 4, the first without normalisation; one more to a number a patch.

    As in the authors' code the stages are followed by one C_k of stride 1. Where sides are under 4, kernels are of
    3 x 3 and keep the size.
    """
    chosen = select_within(content, half)
    norm = "batch" if chosen.get("batch_norm") else chosen["normalisation"]
    stages = chosen["stages"]
    layers: list[nn.Module] = []
    inputs, height, width = shape
    size: Size = (height, width)
    for stage, outputs in enumerate(compute_widths(chosen["width"], chosen["growth"], stages + 1)):
        here = "none" if stage == 0 else norm
        layer, size = _build_judge(inputs, outputs, size, stride=2 if stage < stages else 1, bias=here == "none")
        layers.append(layer)
        layers += [*_build_normalisation(here, outputs), build_activation(chosen["activation"])]
        inputs = outputs
    last, _ = _build_judge(inputs, 1, size, stride=1, bias=True)
    return PatchDiscriminator(nn.Sequential(*layers, last))


def _build_judge(inputs: int, outputs: int, size: Size, *, stride: int, bias: bool) -> tuple[nn.Conv2d, Size]:
    """A convolution, and the size of what it gives."""
    if min(size) < 4:
        return nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias), size
    after = (size[0] - 2) // stride + 1, (size[1] - 2) // stride + 1
    return nn.Conv2d(inputs, outputs, 4, stride, padding=1, bias=bias), after
