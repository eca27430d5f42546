"""Small spaces that have supernets."""

import numpy as np

from nas.core.space import drawing
from search_spaces.autoencoder.space import AutoencoderSpace

FIXED = {
    "family": ("plain",), "latent": (8,), "stages": (1,), "width": (8,), "batch_size": (16,),
    "normalisation": ("batch",), "loss": ("mse",), "optimiser": ("adam",), "schedule": ("constant",),
    "learning_rate": (0.002,),
}  # fmt: skip
SPACE = AutoencoderSpace().restrict(FIXED)
FEW = SPACE.restrict({
    "encoder_cell.nodes": (2,),
    "*_cell.*.operation0": ("skip", "conv_3x3", "max_pool_3x3"),
    "*_cell.*.operation1": ("none", "skip", "conv_3x3", "max_pool_3x3"),
})  # fmt: skip


def base_of(space, usual=1.0, seed=0):
    return space.base(drawing(np.random.default_rng(seed), usual))
