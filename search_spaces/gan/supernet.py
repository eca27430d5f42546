"""The supernets of the space ``gan``: both halves with log-weights of their own (Gao et al. 2020, section 3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from nas.core.space import Condition, Shape
from nas.core.supernet import SupernetPlan
from search_spaces.cells.derivation import Allowed, relax_edges
from search_spaces.cells.supernet import MixedCell, list_choices
from search_spaces.gan.build import build_pair
from search_spaces.gan.layers import Filling
from search_spaces.gan.space import UP_SITES, GanSpace
from search_spaces.operations.layers import compute_sizes
from search_spaces.supernet import Architecture, Mixture, attach_architectures


def relax_pair(
    content: Mapping[str, Any], allowed: Allowed, shape: Shape, condition: Condition | None, plan: SupernetPlan
) -> nn.Module:
    """The supernet around a base of the space ``gan``: both cells' edges, and every cell's up-sampling.

    Where a stage does not double the size, alphas could learn nothing of its up-sampling, which then is the base's.

    Args:
        content: the base's.
        allowed: what each of its sites may be.
    """
    edges = {cell: relax_edges(allowed, cell) for cell in GanSpace.cells}
    choices = {cell: list_choices({cell: edges[cell]}, plan) for cell in GanSpace.cells}
    ups = {}
    spots = compute_sizes(shape, content["generator_stages"])[::-1]
    for stage in range(content["generator_stages"]):
        site = UP_SITES[stage]
        doubles = spots[stage] != spots[stage + 1]
        relaxed = doubles or plan.paths is not None
        ups[site] = tuple(str(value) for value in allowed[site]) if relaxed else (content[site],)
    generator = Architecture(choices["generator_cell"] | ups, plan)
    discriminator = Architecture(choices["discriminator_cell"], plan)
    architectures = {"generator_cell": generator, "discriminator_cell": discriminator}

    def build_cell(name: str, channels: int, norm: str, act: str) -> nn.Module:
        return MixedCell(name, edges[name], channels, norm, act, architectures[name], plan)

    def build_layers(site: str, build: Callable[[str], list[nn.Module]]) -> list[nn.Module]:
        if len(ups[site]) == 1:
            return build(ups[site][0])
        options = {way: build(way) for way in ups[site]}
        if not any(options.values()):  # features that have this size already
            return []
        return [Mixture(site, {way: nn.Sequential(*row) for way, row in options.items()}, generator)]

    gan = build_pair(content, shape, condition, Filling(build_cell, build_layers))
    return attach_architectures(gan, generator, discriminator)
