"""How a generator and a discriminator are told a label or a vector: four ways, for every family of both."""

from __future__ import annotations

from torch import nn

from nas.core.space import Condition
from search_spaces.gan.discriminator_modules import Maxout, Projection
from search_spaces.gan.modules import Concatenation, Joint, OneHot
from search_spaces.gan.style import EqualisedLinear

EMBEDDING = 64
RECTIFIED = 2**0.5  # the gain that makes up for a rectifier (He et al. 2015)


class Conditioning:
    """The modules of one way of conditioning: ``none``, ``concatenation``, ``one_hot_maxout`` or ``projection``.

    Args:
        way: how the condition enters.
        condition: what it is; None exactly if `way` is ``none``.
    """

    def __init__(self, way: str, condition: Condition | None) -> None:
        self.way = way
        self._labelled = condition is not None and condition.kind == "label"
        self._size = 0 if condition is None else condition.size

    def _build_embedding(self, width: int) -> nn.Module:
        """Of labels (N,) or vectors (N, size), vectors (N, width) of variance 1 at first, like the noise.

        Both keep this start whatever the initialisation: N(0, 0.02) here and in the layers that follow would hide the
        condition under the noise for thousands of steps.
        """
        if self._labelled:
            return nn.Embedding(self._size, width)
        return nn.Sequential(self._build_vector(), EqualisedLinear(self._size, width))

    def _build_vector(self) -> nn.Module:
        """Of labels a one-hot vector; vectors standardised, since a user's may have any scale."""
        return OneHot(self._size) if self._labelled else nn.BatchNorm1d(self._size, affine=False)

    def build_code(self, latent: int) -> tuple[nn.Module | None, int]:
        """What makes the code that a generator begins with, and that code's width; None: the noise is the code.

        For ``one_hot_maxout`` the layers of Mirza & Osindero 2014, section 4.1: noise and one-hot label through
        rectified layers of their own of 200 and 1000 units, then a joint one of 1200; here a fifth of these.
        """
        if self.way == "concatenation":
            return Concatenation(nn.Identity(), self._build_embedding(EMBEDDING)), latent + EMBEDDING
        if self.way == "one_hot_maxout":
            own = nn.Sequential(EqualisedLinear(latent, 40, RECTIFIED), nn.ReLU())
            told = nn.Sequential(self._build_vector(), EqualisedLinear(self._size, 200, RECTIFIED), nn.ReLU())
            joint = nn.Sequential(EqualisedLinear(240, 240, RECTIFIED), nn.ReLU())
            return Joint(Concatenation(own, told), joint), 240
        return None, latent

    def build_style(self) -> tuple[nn.Module | None, int | None]:
        """What makes the style that the generator's normalisations take, and its width; None for none."""
        return (self._build_embedding(EMBEDDING), EMBEDDING) if self.way == "projection" else (None, None)

    def build_style_code(self, latent: int) -> tuple[nn.Module | None, int]:
        """As `code`, for generators whose normalisations take their style from the code already."""
        if self.way == "projection":
            return Concatenation(nn.Identity(), self._build_embedding(EMBEDDING)), latent + EMBEDDING
        return self.build_code(latent)

    def build_head(self, features: int) -> nn.Module:
        """From features (N, features), and conditions if there are any, to logits (N, 1).

        Concatenated embeddings need a layer between them and the logit: by itself the logit would be a sum in which
        image and condition never meet. The numbers of maxout units and pieces are those of Mirza & Osindero 2014.
        """
        match self.way:
            case "none":
                return nn.Linear(features, 1)
            case "concatenation":
                layers = nn.Sequential(nn.Linear(features + EMBEDDING, 128), nn.LeakyReLU(0.2), nn.Linear(128, 1))
                return Joint(Concatenation(nn.Identity(), self._build_embedding(EMBEDDING)), layers)
            case "one_hot_maxout":
                told = nn.Sequential(self._build_vector(), *_build_maxout(self._size, 50, 5))
                layers = nn.Sequential(*_build_maxout(290, 240, 4), nn.Linear(240, 1))
                return Joint(Concatenation(nn.Sequential(*_build_maxout(features, 240, 5)), told), layers)
            case "projection":
                return Projection(nn.Linear(features, 1), self._build_embedding(features), features**-0.5)
        raise KeyError(self.way)


def _build_maxout(inputs: int, units: int, pieces: int) -> list[nn.Module]:
    return [nn.Linear(inputs, units * pieces), Maxout(pieces)]
