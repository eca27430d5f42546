"""From an encoder and a decoder to the model of a family."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from nas.core.space import Shape
from search_spaces.autoencoder.classes import ConditionalAutoencoder, SemiSupervisedAutoencoder
from search_spaces.autoencoder.codes import (
    CategoricalAutoencoder,
    CategoryQuantiser,
    FiniteScalarQuantiser,
    QuantisedAutoencoder,
    VectorQuantiser,
)
from search_spaces.autoencoder.families import FAMILIES, count_kept, find_dimension, list_layers
from search_spaces.autoencoder.flows import FlowAutoencoder, NormalisingFlow
from search_spaces.autoencoder.ladder import FirstValues, LadderAutoencoder
from search_spaces.autoencoder.modules import (
    AdversarialAutoencoder,
    Autoencoder,
    CriticAutoencoder,
    ImageCritic,
    KeepLargest,
    PriorAutoencoder,
    VariationalAutoencoder,
)
from search_spaces.autoencoder.priors import MixtureAutoencoder, NormalMixture, PseudoInputs, VampAutoencoder
from search_spaces.operations.layers import build_normalisation, compute_sizes

_CRITIC_WIDTH = 128
_CRITIC_WIDTHS = (32, 64, 128)
"""Channels of a critic of images."""
_LADDER_WIDTH = 128
_FLOW_WIDTH = 128


def assemble(
    content: Mapping[str, Any],
    shape: Shape,
    encoder: nn.Sequential,
    decoder: nn.Sequential,
    output: nn.Module,
    classes: int = 0,
    classifier: nn.Module | None = None,
) -> Autoencoder:
    """Make the model of the family that was decided, with what it needs besides encoder and decoder.

    Where small codes are cheap, by an L1 norm or by a contraction, they are standardised: otherwise a code of a tenth
    that a decoder enlarges would cost a tenth (Rifai et al. 2011 tie the weights of encoder and decoder instead).

    Args:
        classes: how many classes of examples there are, for families that know of them.
        classifier: examples (N, *shape) to logits (N, classes), for those that find them.
    """
    latent = content["latent"]
    match content["family"]:
        case "sparse" if content["sparsity"] == "k_sparse":
            encoder.append(KeepLargest(count_kept(content)))
        case "sparse" | "contractive":
            encoder.append(nn.BatchNorm1d(latent, affine=False))
        case "wasserstein":
            return PriorAutoencoder(encoder, decoder, output)
        case "adversarial":
            return AdversarialAutoencoder(encoder, decoder, output, build_critic(latent))
        case "factor":
            return CriticAutoencoder(encoder, decoder, output, build_critic(latent))
        case "vae_gan":
            return CriticAutoencoder(encoder, decoder, output, build_image_critic(shape))
        case "vector_quantised":
            quantiser = VectorQuantiser(content["codebook_size"], find_dimension(content))
            return QuantisedAutoencoder(encoder, decoder, output, quantiser)
        case "finite_scalar":
            return QuantisedAutoencoder(encoder, decoder, output, FiniteScalarQuantiser(content["levels"]))
        case "gumbel":
            return CategoricalAutoencoder(encoder, decoder, output, CategoryQuantiser(content["categories"]))
        case "ladder":
            return build_ladder(encoder, decoder, output, list_layers(content))
        case "conditional":
            return ConditionalAutoencoder(encoder, decoder, output, classes)
        case "semi_supervised":
            assert classifier is not None
            return SemiSupervisedAutoencoder(encoder, decoder, output, classes, classifier)
    match content.get("prior"):
        case "mixture":
            prior = NormalMixture(content["prior_components"], latent)
            return MixtureAutoencoder(encoder, decoder, output, prior)
        case "vamp":
            inputs = PseudoInputs(content["prior_components"], shape, bounded=len(shape) == 3)
            return VampAutoencoder(encoder, decoder, output, inputs)
        case "flow":
            flow = NormalisingFlow(content["flow_steps"], latent, _FLOW_WIDTH)
            return FlowAutoencoder(encoder, decoder, output, flow)
    kind = VariationalAutoencoder if FAMILIES[content["family"]].variational else Autoencoder
    return kind(encoder, decoder, output)


def build_ladder(
    encoder: nn.Sequential, decoder: nn.Sequential, output: nn.Module, sizes: tuple[int, ...]
) -> LadderAutoencoder:
    """Build a ladder on an encoder to the lowest layer's means and log-variances, and the decoder of that layer."""
    steps = list(itertools.pairwise(sizes))
    ups = nn.Sequential(*(_build_step(2 * below, 2 * above) for below, above in steps))
    downs = nn.Sequential(*(_build_step(above, 2 * below) for below, above in steps))
    return LadderAutoencoder(encoder, nn.Sequential(FirstValues(sizes[0]), *decoder), output, ups, downs, sizes)


def _build_step(inputs: int, outputs: int) -> nn.Sequential:
    """Build what leads from one layer of a ladder to the next."""
    width = _LADDER_WIDTH
    return nn.Sequential(nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.LeakyReLU(0.1), nn.Linear(width, outputs))


def build_critic(latent: int) -> nn.Sequential:
    """Build what judges codes (N, latent): logits (N, 1)."""
    width = _CRITIC_WIDTH
    first, second = nn.Linear(latent, width), nn.Linear(width, width)
    return nn.Sequential(first, nn.LeakyReLU(0.2), second, nn.LeakyReLU(0.2), nn.Linear(width, 1))


def build_image_critic(shape: Shape) -> ImageCritic:
    """Build what judges images (N, *shape): three convolutions, whose features are those of the second, normalised.

    Those of the third know what is real and hardly which image it is: on digits errors were ten times as large.
    """
    first, second, third = _CRITIC_WIDTHS
    sizes = compute_sizes(shape, 2)
    strides = [2 if before != after else 1 for before, after in itertools.pairwise(sizes)]
    features = nn.Sequential(
        nn.Conv2d(shape[0], first, 3, padding=1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(first, second, 3, stride=strides[0], padding=1, bias=False),
        *build_normalisation("group", second),
    )
    judge = nn.Sequential(
        nn.LeakyReLU(0.2),
        nn.Conv2d(second, third, 3, stride=strides[1], padding=1, bias=False),
        *build_normalisation("group", third),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(third * math.prod(sizes[-1]), 1),
    )
    return ImageCritic(features, judge)
