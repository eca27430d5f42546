"""Autoencoders of discrete codes. They stand alone: the exporter copies their source.

A code is made of groups of values, each one of a finite number of vectors, which an index names.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from search_spaces.autoencoder.modules import Autoencoder


class Quantiser(nn.Module):
    """Puts codes that a gradient flows through in place of what an encoder gives.

    `has_codebook` says that they consist of vectors of a codebook.
    """

    has_codebook = False

    def relax(self, values: Tensor) -> Tensor:
        """What an encoder gives, (N, values), as it would be if codes were not discrete; (N, values)."""
        return values

    def find_indices(self, codes: Tensor) -> Tensor:
        """Codes (N, values), which need not be discrete, to the indices of the nearest ones (N, groups), int64."""
        raise NotImplementedError

    def look_up(self, indices: Tensor) -> Tensor:
        """Indices (N, groups) to codes (N, values)."""
        raise NotImplementedError

    def forward(self, values: Tensor) -> Tensor:
        """What an encoder gives, (N, values), to codes (N, values).

        In training a gradient passes as if nothing was quantised, straight through (Bengio et al. 2013).
        """
        soft = self.relax(values.float())
        codes = self.look_up(self.find_indices(soft))
        return soft + (codes - soft).detach() if self.training else codes


class VectorQuantiser(Quantiser):
    """The nearest vector of a codebook that all groups share (van den Oord et al. 2017, equation 2).

    Whoever trains it moves the codebook (size, dimension), and keeps in `usage` (size,) how many vectors of a batch
    are nearest to each.
    """

    has_codebook = True
    codebook: Tensor
    usage: Tensor

    def __init__(self, size: int, dimension: int) -> None:
        super().__init__()
        self.size = size
        self.dimension = dimension
        self.register_buffer("codebook", torch.randn(size, dimension))
        self.register_buffer("usage", torch.zeros(size))

    def find_indices(self, codes: Tensor) -> Tensor:
        """Codes (N, values) to the indices of the nearest vectors (N, values / dimension).

        Rounding in products is larger than many a difference of distances: they only say which few come into question.
        """
        vectors = torch.unflatten(codes, 1, (-1, self.dimension))
        nearness = 2 * vectors @ self.codebook.T - self.codebook.square().sum(1)
        few = nearness.topk(min(4, self.size), dim=2).indices
        distances = (self.codebook[few] - vectors[:, :, None]).square().sum(3)
        return few.gather(2, distances.argmin(2, keepdim=True)).squeeze(2)

    def look_up(self, indices: Tensor) -> Tensor:
        """Indices (N, groups) to codes (N, groups * dimension)."""
        return self.codebook[indices].flatten(1)


class FiniteScalarQuantiser(Quantiser):
    """Each value is one of a few levels between -1 and 1 (Mentzer et al. 2023, section 3.1).

    0 is a level, so of an even number there is one more below it. Values are bounded a little beyond the last level, as
    of two levels none but infinity would else reach the outer one.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.below = levels // 2
        self.reach = (levels - 1) * 1.001 / 2
        self.offset = 0.0 if levels % 2 else 0.5
        self.shift = torch.tensor(self.offset / self.reach, dtype=torch.float64).atanh().item()

    def relax(self, values: Tensor) -> Tensor:
        """Values (N, values) to bounded ones; 0 stays 0."""
        return (torch.tanh(values + self.shift) * self.reach - self.offset) / self.below

    def find_indices(self, codes: Tensor) -> Tensor:
        """Codes (N, values) to the numbers of their levels, from 0 for -1."""
        return (codes * self.below + self.below).round().clamp(0, self.levels - 1).long()

    def look_up(self, indices: Tensor) -> Tensor:
        """Numbers of levels (N, values) to codes of the same shape."""
        return (indices - self.below) / self.below


class CategoryQuantiser(Quantiser):
    """Each group of values, logits of its categories, is a 1 among 0s where it is largest."""

    more_noise = 0

    def __init__(self, categories: int) -> None:
        super().__init__()
        self.categories = categories

    def relax(self, values: Tensor) -> Tensor:
        """Logits (N, groups * categories) to probabilities."""
        return torch.unflatten(values, 1, (-1, self.categories)).softmax(2).flatten(1)

    def find_indices(self, codes: Tensor) -> Tensor:
        """Probabilities (N, groups * categories) to the likeliest categories (N, groups)."""
        return torch.unflatten(codes, 1, (-1, self.categories)).argmax(2)

    def look_up(self, indices: Tensor) -> Tensor:
        """Categories (N, groups) to a 1 among 0s for each (N, groups * categories)."""
        return nn.functional.one_hot(indices, self.categories).float().flatten(1)


class QuantisedAutoencoder(Autoencoder):
    """An autoencoder whose codes are those of a quantiser."""

    discrete = True

    def __init__(self, encoder: nn.Module, decoder: nn.Module, output: nn.Module, quantiser: Quantiser) -> None:
        super().__init__(encoder, decoder, output)
        self.quantiser = quantiser

    def encode(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to quantised codes (N, values)."""
        code: Tensor = self.quantiser(self.encoder(images))
        return code

    def encode_indices(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to the indices of their codes (N, groups), int64."""
        return self.quantiser.find_indices(self.encode(images))

    def decode_indices(self, indices: Tensor) -> Tensor:
        """Indices (N, groups) to images (N, C, H, W) in [0, 1]."""
        return self.decode(self.quantiser.look_up(indices))

    def snap(self, codes: Tensor) -> Tensor:
        """Codes (N, values), such as lie between others, to the nearest that are quantised."""
        return self.quantiser.look_up(self.quantiser.find_indices(codes))

    def split(self) -> tuple[nn.Module, nn.Module]:
        """What gives the indices of images, and what gives the images of indices; both with these very layers."""
        return IndexEncoder(self.encoder, self.quantiser), IndexDecoder(self.quantiser, self.decoder, self.output)


class CategoricalAutoencoder(QuantisedAutoencoder):
    """An autoencoder whose encoder gives a distribution of each group's categories (Jang et al. 2017).

    A code is the likeliest one, a 1 among 0s in each group. The prior is uniform.
    """

    variational = True
    samples_prior = True
    quantiser: CategoryQuantiser

    def logits(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to the logits of their codes' categories (N, groups, categories)."""
        logits: Tensor = self.encoder(images)
        return torch.unflatten(logits, 1, (-1, self.quantiser.categories))

    def make_sampler(self) -> nn.Module:
        """What turns normal noise (N, values) into codes of the prior: the largest of each group is any."""
        return CategoryQuantiser(self.quantiser.categories).eval()


class IndexEncoder(nn.Module):
    """Images (N, C, H, W) to the indices of their codes (N, groups), int64."""

    def __init__(self, encoder: nn.Module, quantiser: Quantiser) -> None:
        super().__init__()
        self.encoder = encoder
        self.quantiser = quantiser

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) to indices (N, groups)."""
        return self.quantiser.find_indices(self.quantiser(self.encoder(images)))


class IndexDecoder(nn.Module):
    """The indices of codes (N, groups), int64, to images (N, C, H, W)."""

    def __init__(self, quantiser: Quantiser, decoder: nn.Module, output: nn.Module) -> None:
        super().__init__()
        self.quantiser = quantiser
        self.decoder = decoder
        self.output = output

    def forward(self, indices: Tensor) -> Tensor:
        """Indices (N, groups) to images (N, C, H, W) in [0, 1]."""
        images: Tensor = self.output(self.decoder(self.quantiser.look_up(indices)))
        return images
