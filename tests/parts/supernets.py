"""Small spaces that have supernets."""

import numpy as np
import torch
from torch import nn

from nas.core.space import drawing
from search_spaces.autoencoder.space import AutoencoderSpace

FIXED = {
    "family": ("plain",), "latent": (8,), "stages": (1,), "width": (8,), "batch_size": (16,),
    "normalisation": ("batch",), "loss": ("mse",), "optimiser": ("adam",), "schedule": ("constant",),
    "learning_rate": (0.002,),
}  # fmt: skip
SHAPE = (1, 8, 8)
SPACE = AutoencoderSpace().conditioned(None).restrict(FIXED)
FEW = SPACE.restrict({
    "encoder_cell.nodes": (2,),
    "*_cell.*.operation0": ("skip", "conv_3x3", "max_pool_3x3"),
    "*_cell.*.operation1": ("none", "skip", "conv_3x3", "max_pool_3x3"),
})  # fmt: skip


def base_of(space, usual=1.0, seed=0):
    return space.base(drawing(np.random.default_rng(seed), usual))


def with_weights_by_shape(model):
    """Weights that follow from the shapes alone: then models of the same layers compute the same."""
    with torch.no_grad():
        for module in model.modules():
            for name, weight in module.named_parameters(recurse=False):
                if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d)):
                    weight.fill_(float(name == "weight"))
                elif not isinstance(module, nn.ParameterList):
                    generator = torch.Generator().manual_seed(weight.numel())
                    weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    return model
