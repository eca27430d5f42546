"""Spaces of small pairs, and genotypes of them."""

import numpy as np

from nas.core.space import drawing
from search_spaces.gan.space import GanSpace
from search_spaces.gan.training import LOSSES

SMALL = {
    "latent": (16, 32),
    "generator_width": (16,),
    "generator_hidden_width": (64,),
    "discriminator_width": (16,),
    "discriminator_hidden_width": (64,),
    "generator_stages": (1, 2, 3),
    "discriminator_stages": (1, 2, 3),
    "generator_growth": (1.0,),
    "discriminator_growth": (1.0,),
    "style_width": (64,),
}
UNCONDITIONED = GanSpace().conditioned(None).restrict(SMALL)


class GanSpaceOfAllLosses(GanSpace):
    name = "gan-of-all-losses"
    losses = tuple(LOSSES)


class GanSpaceOfComparisons(GanSpace):
    name = "gan-of-comparisons"
    losses = ("hinge", "relativistic")


def drawn(space, seed, **pins):
    """A genotype drawn at random but for the decisions given: restricting the space would take longer."""
    draw = drawing(np.random.default_rng(seed))
    return space.grow(lambda choice: pins[choice.site] if choice.site in pins else draw(choice))


def usual(space, **others):
    return space.grow(
        lambda choice: others.get(choice.site, choice.values[0] if choice.usual is None else choice.usual)
    )
