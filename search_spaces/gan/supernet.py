"""Supernets of pairs: generator and discriminator with log-weights of their own (Gao et al. 2020, section 3)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from nas.core.space import Condition, Shape
from nas.core.supernet import Path, SupernetPlan
from search_spaces.adversarialnas import build as adversarialnas_build
from search_spaces.cells.derivation import Allowed, relaxed_edges
from search_spaces.gan.build import build
from search_spaces.gan.derivation import CELLS
from search_spaces.gan.layers import Filling
from search_spaces.gan.modules import Gan
from search_spaces.operations.layers import sizes
from search_spaces.supernet import Architecture, MixedCell, Mixture, choices_of, without_running_statistics


class PairArchitecture(nn.Module):
    """The architectures of both halves as one; names begin with the half's.

    Each half has its own as an attribute ``architecture`` too: a copy of one half is then complete.
    """

    def __init__(self, generator: Architecture, discriminator: Architecture) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator

    def draw(self, progress: float, generator: torch.Generator) -> None:
        """Begin a step of both; see Architecture.draw."""
        self.generator.draw(progress, generator)
        self.discriminator.draw(progress, generator)

    def settle(self) -> None:
        """No noise from now on."""
        self.generator.settle()
        self.discriminator.settle()

    def follow(self, path: Path | None) -> None:
        """Be one pair alone from now on; see Architecture.follow."""
        for half, architecture in (("generator", self.generator), ("discriminator", self.discriminator)):
            architecture.follow(None if path is None else part_of(path, half))

    def alphas(self) -> dict[str, dict[str, float]]:
        """The log-weights of both as plain numbers."""
        return self.generator.alphas() | self.discriminator.alphas()


def part_of(path: Path, half: str) -> dict[str, tuple[str, ...]]:
    """What of a pair's path is in its ``generator`` or ``discriminator``."""
    return {name: held for name, held in path.items() if name.startswith(half)}


def relax_pair(
    content: Mapping[str, Any], allowed: Allowed, shape: Shape, condition: Condition | None, plan: SupernetPlan
) -> nn.Module:
    """The supernet around a base of the space ``gan``: both cells' edges, and every cell's up-sampling.

    Where a stage does not double the size, alphas could learn nothing of its up-sampling, which then is the base's.

    Args:
        content: the base's.
        allowed: what each of its sites may be.
    """
    edges = {cell: relaxed_edges(allowed, cell) for cell in CELLS}
    ups = {}
    spots = sizes(shape, content["generator_stages"])[::-1]
    for stage in range(content["generator_stages"]):
        site = f"generator_stage{stage}.up_sampling"
        doubles = spots[stage] != spots[stage + 1]
        relaxed = doubles or plan.paths is not None
        ups[site] = tuple(str(value) for value in allowed[site]) if relaxed else (content[site],)
    generator = Architecture(choices_of({CELLS[0]: edges[CELLS[0]]}, plan) | ups, plan)
    discriminator = Architecture(choices_of({CELLS[1]: edges[CELLS[1]]}, plan), plan)

    def cell(name: str, channels: int, norm: str, act: str) -> nn.Module:
        architecture = generator if name == CELLS[0] else discriminator
        return MixedCell(name, edges[name], channels, norm, act, architecture, plan)

    def layers(site: str, make: Callable[[str], list[nn.Module]]) -> list[nn.Module]:
        if len(ups[site]) == 1:
            return make(ups[site][0])
        options = {way: make(way) for way in ups[site]}
        if not any(options.values()):  # features that have this size already
            return []
        return [Mixture(site, {way: nn.Sequential(*row) for way, row in options.items()}, generator)]

    return _assembled(build(content, shape, condition, Filling(cell, layers)), generator, discriminator)


def relax_adversarialnas(
    allowed: Allowed, shape: Shape, latent: int, channels: tuple[int, int], plan: SupernetPlan
) -> nn.Module:
    """AdversarialNAS's supernet: every edge of every cell by itself.

    Args:
        allowed: what each site may be.
        channels: of generator and discriminator.
    """
    choices = {
        half: {
            site: tuple(str(value) for value in values)
            for site, values in allowed.items()
            if site.startswith(f"{half}_stage")
        }
        for half in ("generator", "discriminator")
    }
    halves = {half: Architecture(of, plan) for half, of in choices.items()}

    def fill(site: str, make: Callable[[str], nn.Module]) -> Callable[[], nn.Module]:
        half = site.partition("_")[0]
        options = [option for option in choices[half][site] if option != "none"]
        return functools.partial(_mixture, site, options, make, halves[half])

    gan = adversarialnas_build.build({}, shape, latent, *channels, fill)
    return _assembled(gan, halves["generator"], halves["discriminator"])


def _mixture(site: str, options: list[str], make: Callable[[str], nn.Module], architecture: Architecture) -> nn.Module:
    return Mixture(site, {option: make(option) for option in options}, architecture)


def _assembled(gan: Gan, generator: Architecture, discriminator: Architecture) -> nn.Module:
    without_running_statistics(gan)
    gan.generator.architecture = generator
    gan.discriminator.architecture = discriminator
    gan.architecture = PairArchitecture(generator, discriminator)
    return gan
