"""AdversarialNAS's supernet: every edge of every cell by itself (Gao et al. 2020, section 3)."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from nas.core.space import Shape
from nas.core.supernet import SupernetPlan
from search_spaces.adversarialnas.build import build_pair
from search_spaces.adversarialnas.space import CELLS
from search_spaces.cells.derivation import Allowed
from search_spaces.choices import is_within
from search_spaces.operations.names import NONE
from search_spaces.supernet import Architecture, Mixture, attach_architectures


def relax_pair(allowed: Allowed, shape: Shape, latent: int, channels: tuple[int, int], plan: SupernetPlan) -> nn.Module:
    """A pair whose edges hold all that they may, each half with log-weights of its own.

    Args:
        allowed: what each site may be.
        channels: of generator and discriminator.
    """
    architectures: dict[str, Architecture] = {}
    of_site: dict[str, Architecture] = {}
    for half, cells in CELLS.items():
        choices = {site: tuple(map(str, values)) for site, values in allowed.items() if is_within(site, *cells)}
        architectures[half] = Architecture(choices, plan)
        of_site |= dict.fromkeys(choices, architectures[half])

    def fill(site: str, build: Callable[[str], nn.Module]) -> Callable[[], nn.Module]:
        options = [option for option in of_site[site].choices[site] if option != NONE]
        return lambda: Mixture(site, {option: build(option) for option in options}, of_site[site])

    return attach_architectures(build_pair({}, shape, latent, *channels, fill), **architectures)
