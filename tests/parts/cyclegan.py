"""A space of tiny CycleGANs, and two little domains, for the tests of their training and of their evaluator."""

from __future__ import annotations

import torch
from torch import nn

from nas.data.dataset import Dataset
from nas.data.pairs import DomainPair
from nas.data.source import UnsplitData
from nas.data.sources import digits
from nas.data.sources.transformations import TRANSFORMATIONS
from nas.data.splitting import split_data
from search_spaces.choices import ChoiceSpace

USUAL = {
    "loss": "least_squares",
    "cycle_weight": 10.0,
    "identity_weight": 0.5,
    "buffer": 50,
    "batch": 16,
    "generator_learning_rate": 0.0016,
    "discriminator_learning_rate": 0.0016,
    "linear_decay": True,
    "optimiser": "adam",
    "beta1": 0.5,
    "beta2": 0.999,
    "ema": 0.9,
}


class TinyTranslator(nn.Module):
    """One hidden layer, batch normalisation, and noise in training where it is asked for."""

    def __init__(self, channels, width, dropout):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout2d(dropout),
            nn.Conv2d(width, channels, 3, padding=1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, images):
        return self.layers(2 * images - 1)


class TinyPatches(nn.Module):
    def __init__(self, channels, width):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout2d(0.1),
            nn.Conv2d(width, 1, 3, padding=1),
        )  # fmt: skip

    def forward(self, images):
        return self.layers(2 * images - 1).flatten(1)


class TinyCycleGan(nn.Module):
    def __init__(self, shape, width=8, dropout=0.1):
        super().__init__()
        self.a_to_b, self.b_to_a = (TinyTranslator(shape[0], width, dropout) for _ in "ab")
        self.discriminator_a, self.discriminator_b = (TinyPatches(shape[0], width) for _ in "ab")

    def forward(self, images):
        return self.a_to_b(images)


class TinyCycleGanSpace(ChoiceSpace):
    name = "tiny-cyclegan"
    domains = 2

    def decide(self, ask):
        ask.structure("generator.width", (4, 8, 64), ordered=True, usual=8)
        ask.structure("dropout", (0.0, 0.1), usual=0.0)
        for site, usual in USUAL.items():
            ask.hyperparameter(site, (usual, "hinge") if site == "loss" else (usual,), usual=usual)

    def build(self, genotype, shape):
        return TinyCycleGan(shape, genotype.content["generator.width"], genotype.content["dropout"])

    def describe(self, genotype, shape):
        return f"a tiny CycleGAN of width {genotype.content['generator.width']}"


def little_digits(train_size=160, labels=True) -> DomainPair:
    """Digits and inverted ones, of which no image is in both."""
    pool = digits.load_digits().pool
    parts: list[Dataset] = []
    for first, name in enumerate(("digits", "inverted:digits")):
        half = pool.take(slice(first, None, 2))
        images = TRANSFORMATIONS["inverted"].apply(half.examples) if first else half.examples
        source = UnsplitData(
            type(half)(images, half.labels if labels else None), classes=tuple("0123456789") if labels else ()
        )
        parts.append(split_data(name, source, seed=0, train_size=train_size))
    return DomainPair(*parts)


def random_parts(first=48, second=40):
    """Two training parts of noise."""
    from nas.data.dataset import Split

    generator = torch.Generator().manual_seed(0)
    return tuple(
        Split(torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8, generator=generator))
        for count in (first, second)
    )
