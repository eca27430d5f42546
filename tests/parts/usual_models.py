"""Models of usual genotypes with small widths, and batches that pass through them."""

import torch
from torch import nn

from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.gan.space import GanSpace

SHAPE = (1, 12, 12)
AUTOENCODERS, GANS = AutoencoderSpace().conditioned(None), GanSpace().conditioned(None)
SMALL = {"width": 16, "latent": 16, "generator_width": 16, "discriminator_width": 16, "stages": 2}


def genotype(space, **decided):
    """The usual genotype, but for small widths and what is decided."""
    wanted = SMALL | {site.replace("__", "."): value for site, value in decided.items()}

    def answer(choice):
        if choice.site in wanted:
            return wanted[choice.site]
        return choice.values[0] if choice.usual is None else choice.usual

    return space.grow(answer)


def made(space, seed, **decided):
    """A model whose normalisations have statistics, scales and shifts of their own, as a trained one's."""
    torch.manual_seed(seed)
    model = space.build(genotype(space, **decided), SHAPE).eval()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, 0, 0.3)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.3)
    return model


def images():
    return torch.rand((3, *SHAPE), generator=torch.Generator().manual_seed(0))


def once(model):
    return model(images())


def pair_once(model):
    return model.discriminator(model.generator(torch.zeros(2, model.latent)))
