"""From a pair's decisions to its modules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.core.space import Condition, Shape
from search_spaces.gan.conditioning import Conditioning
from search_spaces.gan.discriminators import build_discriminator
from search_spaces.gan.generators import build_generator
from search_spaces.gan.layers import Filling, set_momentum
from search_spaces.gan.modules import Gan
from search_spaces.operations.initialisation import apply_spectral_norm, initialise_weights


def build_pair(
    content: Mapping[str, Any], shape: Shape, condition: Condition | None, filling: Filling | None = None
) -> Gan:
    """The pair of validated decisions for images (N, *shape), told `condition` where the decisions say so.

    `filling` builds cells and up-samplings other than those that were decided.
    """
    way = content["condition"]
    told = None if way == "none" else condition
    conditioning = Conditioning(way, told)
    filling = filling or Filling.of(content)
    generator = build_generator(content, shape, conditioning, filling)
    discriminator = build_discriminator(content, shape, conditioning, filling)
    gan = Gan(generator, discriminator, content["latent"], "none" if told is None else told.kind)
    initialise_weights(gan, content["initialisation"])
    set_momentum(gan, content["batch_norm_momentum"])
    if content["spectral_norm"]:  # after initialisation: it begins with the weights' singular vectors
        apply_spectral_norm(discriminator)
    return gan
