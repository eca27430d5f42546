"""AdversarialNAS's pair as modules, both halves as one graph each, of which only what leads to the output is built."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from nas.core.space import Shape
from search_spaces.adversarialnas.modules import MixedGraph, Nothing, Part
from search_spaces.adversarialnas.space import CELLS
from search_spaces.cells.modules import Cell, Node
from search_spaces.gan.discriminator_modules import Discriminator, SumPool
from search_spaces.gan.modules import Gan, Generator
from search_spaces.operations.initialisation import apply_spectral_norm, initialise_weights
from search_spaces.operations.layers import Size, build_crop, build_pool
from search_spaces.operations.names import DOWN_SAMPLINGS, NONE, OPERATIONS, SKIP, UP_SAMPLINGS

Content = Mapping[str, Any]
Make = Callable[[], nn.Module]
Fill = Callable[[str, Callable[[str], nn.Module]], Make | None]
"""What makes the module where a site decides, given those of each of its values; None for no edge."""
INPUT = "input"
SKIP_UP = ("nearest", "bilinear", "nearest")  # of the features that each cell takes in


class Graph:
    """Named nodes, each the sum of what arrives by its edges; built without what has no part in the output."""

    def __init__(self) -> None:
        self.edges: dict[str, list[tuple[str, Make]]] = {}

    def node(self, name: str, *edges: tuple[str, Make | None]) -> str:
        """A node after those that its edges (source, maker of a module; None for no edge) come from."""
        kept = [(source, make) for source, make in edges if make is not None]
        self.edges[name] = [(source, make) for source, make in kept if source == INPUT or self.edges[source]]
        return name

    def build(self, output: str, nothing: nn.Module, relaxed: bool = False) -> nn.Module:
        """From the input to the node `output`; `nothing` if no path leads there, as may be seen later if `relaxed`."""
        if not self.edges[output]:
            return nothing
        needed = {output}
        for name in reversed(self.edges):  # sources come before what they lead to
            if name in needed:
                needed |= {source for source, _ in self.edges[name]}
        order = [name for name in self.edges if name in needed]
        place = {INPUT: 0} | {name: i + 1 for i, name in enumerate(order)}
        inputs = [tuple(place[source] for source, _ in self.edges[name]) for name in order]
        operations = [[make() for _, make in self.edges[name]] for name in order]
        if relaxed:
            return MixedGraph(inputs, operations, nothing)
        nodes: list[nn.Module] = [Node(*node) for node in zip(inputs, operations, strict=True)]
        return Cell(nodes, (place[output],))


def build_pair(
    content: Content, shape: Shape, latent: int, channels: int, discriminator_channels: int, fill: Fill | None = None
) -> Gan:
    """The pair for images (N, *shape); `channels` are the generator's, `latent` is divisible by the cells' number.

    `fill` is given where edges hold something else than was decided: mixtures, which may hold nothing.
    """

    def fill_as_decided(site: str, make: Callable[[str], nn.Module]) -> Make | None:
        return None if content[site] == NONE else functools.partial(make, content[site])

    relaxed = fill is not None
    generator = Generator(_build_generator(fill or fill_as_decided, shape, latent, channels, relaxed))
    gan = Gan(generator, _build_discriminator(fill or fill_as_decided, shape, discriminator_channels, relaxed), latent)
    initialise_weights(gan, "xavier")
    apply_spectral_norm(gan.discriminator)
    return gan


def _build_operation(channels: int, name: str, *, stride: int = 1, image: int | None = None) -> nn.Module:
    """What keeps or halves the size; a convolution follows an activation, unless it is of an image of `image` channels.

    `name` is a key of OPERATIONS or of DOWN_SAMPLINGS.
    """
    if name == SKIP:
        return nn.Identity()
    if name in DOWN_SAMPLINGS:
        return build_pool(name)
    kernel, dilation = OPERATIONS[name].kernel, OPERATIONS[name].dilation
    layer = nn.Conv2d(image or channels, channels, kernel, stride, dilation * (kernel // 2), dilation)
    return nn.Sequential(nn.ReLU(), layer) if image is None else layer


def _build_up(channels: int, before: Size, after: Size, name: str) -> nn.Module:
    crop = build_crop(before, after)
    if UP_SAMPLINGS[name] == "interpolation":
        return nn.Sequential(nn.Upsample(scale_factor=2, mode=name), nn.ReLU(), nn.Conv2d(channels, channels, 1), *crop)
    depthwise = nn.ConvTranspose2d(channels, channels, 3, 2, 1, output_padding=1, groups=channels, bias=False)
    return nn.Sequential(nn.ReLU(), depthwise, nn.Conv2d(channels, channels, 1, bias=False), *crop)


def _compute_sizes(shape: Shape) -> list[Size]:
    """Sizes from the smallest map to the image: three halvings, rounded up."""
    spots: list[Size] = [(shape[1], shape[2])]
    for _ in CELLS["generator"]:
        spots.append((math.ceil(spots[-1][0] / 2), math.ceil(spots[-1][1] / 2)))
    return spots[::-1]


def _build_generator(fill: Fill, shape: Shape, latent: int, channels: int, relaxed: bool) -> nn.Module:
    """A third of the noise enters before each cell, at its size."""
    graph, spots, part = Graph(), _compute_sizes(shape), latent // len(CELLS["generator"])

    def make_noise(cell: int) -> Callable[[], nn.Module]:
        size = spots[cell]
        return lambda: nn.Sequential(
            Part(cell * part, (cell + 1) * part),
            nn.Linear(part, channels * math.prod(size)),
            nn.Unflatten(1, (channels, *size)),
        )

    def make_taken(cell: int, before: Size) -> Callable[[], nn.Module]:
        size = spots[cell + 1]
        up = [] if before == size else [nn.Upsample(size=size, mode=SKIP_UP[cell])]
        return lambda: nn.Sequential(*up, nn.Conv2d(channels, channels, 1))

    last = ""
    for cell, name in enumerate(CELLS["generator"]):
        normal = [fill(f"{name}.edge{edge}", functools.partial(_build_operation, channels)) for edge in range(5)]
        doubled = functools.partial(_build_up, channels, spots[cell], spots[cell + 1])
        before = [(last, nn.Identity)] if last else []
        start = graph.node(f"{cell} input", *before, (INPUT, make_noise(cell)))
        ups = [graph.node(f"{cell} up{i}", (start, fill(f"{name}.up{i}", doubled))) for i in range(2)]
        feature = graph.node(f"{cell} feature", (ups[0], normal[0]), (ups[1], normal[1]))
        earlier = [(f"{i} feature", make_taken(cell, spots[i + 1])) for i in range(cell)]
        middle = graph.node(f"{cell} middle", (feature, nn.Identity), *earlier)
        last = graph.node(f"{cell} output", (ups[0], normal[2]), (ups[1], normal[3]), (middle, normal[4]))
    body = graph.build(last, Nothing(channels, shape[1], shape[2]), relaxed)
    end = [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, shape[0], 3, padding=1), nn.Sigmoid()]
    return nn.Sequential(body, *end)


def _build_discriminator(fill: Fill, shape: Shape, channels: int, relaxed: bool) -> Discriminator:
    graph, last = Graph(), INPUT
    normal = functools.partial(_build_operation, channels)
    down, first_layer = functools.partial(normal, stride=2), functools.partial(normal, image=shape[0])
    for cell, name in enumerate(CELLS["discriminator"]):
        entering = [fill(f"{name}.edge{edge}", first_layer if cell == 0 else normal) for edge in range(3)]
        between = [fill(f"{name}.edge{edge}", normal) for edge in (3, 4)]
        downs = [fill(f"{name}.down{edge}", down) for edge in range(2)]
        first = graph.node(f"{cell} first", (last, entering[0]))
        second = graph.node(f"{cell} second", (last, entering[1]), (first, between[0]))
        third = graph.node(f"{cell} third", (last, entering[2]), (first, between[1]))
        last = graph.node(f"{cell} output", (second, downs[0]), (third, downs[1]))
    features = nn.Sequential(graph.build(last, Nothing(channels, 1, 1), relaxed), nn.ReLU(), SumPool())
    return Discriminator(features, nn.Linear(channels, 1, bias=False))
