"""A space of tiny GANs, for the tests of their training and of their evaluator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas.core.space import Condition
from search_spaces.choices import ChoiceSpace

USUAL = {
    "batch_size": 64,
    "optimiser": "adam",
    "schedule": "constant",
    "loss": "non_saturating",
    "r1": 0.0,
    "noise": "normal",
    "noise_scale": 1.0,
    "discriminator_steps": 1,
    "label_smoothing": "none",
    "instance_noise": 0.0,
    "diff_augment": "none",
    "batch_norm_momentum": 0.1,
    "generator_learning_rate": 0.0016,
    "discriminator_learning_rate": 0.0016,
    "beta1": 0.5,
    "beta2": 0.999,
    "ema": 0.9,
}


class TinyGenerator(nn.Module):
    """One hidden layer of half the side, batch normalisation, and noise of its own where it is asked for."""

    def __init__(self, shape, latent, told, width=8, noisy=False):
        super().__init__()
        self.shape, self.width, self.noisy = shape, width, noisy
        channels, height, width_of_image = shape
        self.small = ((height + 1) // 2, (width_of_image + 1) // 2)
        self.linear = nn.Linear(latent + told, width * self.small[0] * self.small[1])
        self.norm = nn.BatchNorm2d(width)
        self.up = nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1)

    def forward(self, noise, condition=None):
        if condition is not None:
            noise = torch.cat([noise, condition], dim=1)
        hidden = self.norm(self.linear(noise).view(len(noise), self.width, *self.small)).relu()
        if self.noisy:
            hidden = hidden + 0.1 * torch.randn_like(hidden)
        return torch.sigmoid(self.up(hidden)[:, :, : self.shape[1], : self.shape[2]])


class TinyDiscriminator(nn.Module):
    """Two strided convolutions with dropout, and the condition's projection."""

    def __init__(self, shape, told, width=8):
        super().__init__()
        self.down = nn.Sequential(
            nn.Conv2d(shape[0], width, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout2d(0.1),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2),
        )  # fmt: skip
        self.top = nn.Linear(2 * width, 1)
        self.told = nn.Linear(told, 2 * width) if told else None

    def forward(self, images, condition=None):
        features = self.down(2 * images - 1).mean(dim=(2, 3))
        logits = self.top(features)[:, 0]
        return logits if condition is None else logits + (self.told(condition) * features).sum(dim=1)


class TinyGan(nn.Module):
    def __init__(self, shape, condition=None, latent=6, width=8, noisy=False):
        super().__init__()
        told = 0 if condition is None else condition.size
        self.latent, self.classes = latent, told
        self.condition = "none" if condition is None else condition.kind
        self.generator = OneHot(TinyGenerator(shape, latent, told, width, noisy), told, self.condition)
        self.discriminator = OneHot(TinyDiscriminator(shape, told, width), told, self.condition)

    def forward(self, noise, condition=None):
        return self.generator(noise) if condition is None else self.generator(noise, condition)


class OneHot(nn.Module):
    """Labels to one-hot vectors, vectors as they are."""

    def __init__(self, network, classes, kind):
        super().__init__()
        self.network, self.classes, self.kind = network, classes, kind

    def forward(self, images, condition: Tensor | None = None):
        if self.kind == "label":
            condition = nn.functional.one_hot(condition, self.classes).float()
        return self.network(images, condition)


class TinyGanSpace(ChoiceSpace):
    """Tiny GANs, told labels where the space is conditioned on them and the genotype says so."""

    name = "tiny-gan"
    told: Condition | None = None
    usual = USUAL

    def conditioned(self, condition):
        space = type(self)()
        space.told, space._restrictions = condition, dict(self._restrictions)
        return space

    def decide(self, ask):
        ask.structure("condition", ("none",) if self.told is None else ("none", self.told.kind))
        ask.structure("latent", (2, 6))
        ask.structure("generator_width", (4, 8, 128), ordered=True)
        ask.structure("style_noise", (False, True))
        for site, usual in self.usual.items():
            ask.hyperparameter(site, (usual, "hinge") if site == "loss" else (usual,))

    def build(self, genotype, shape):
        content = genotype.content
        told = None if content["condition"] == "none" else self.told
        return TinyGan(shape, told, content["latent"], content["generator_width"], content["style_noise"])

    def describe(self, genotype, shape):
        return f"a tiny GAN of width {genotype.content['generator_width']}"
