"""The families of autoencoders by name: what each is trained by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from evaluators.autoencoder.batch import Batch
from evaluators.autoencoder.bounds import AutoencoderModel
from evaluators.autoencoder.classes import semi_supervised_loss
from evaluators.autoencoder.discrete import gumbel_loss, vector_quantised_loss
from evaluators.autoencoder.importance import importance_weighted_loss
from evaluators.autoencoder.losses import ladder_loss, reconstruction_loss, variational_loss
from evaluators.autoencoder.prior_matching import adversarial_loss, factor_loss, wasserstein_loss
from evaluators.autoencoder.regularised import contractive_loss, sparse_loss
from evaluators.autoencoder.similarity import vae_gan_loss

Loss = Callable[[Batch], Tensor]
"""Returns the scalar to be minimised."""

LOSSES: Mapping[str, Loss] = {
    "plain": reconstruction_loss,
    "denoising": reconstruction_loss,
    "variational": variational_loss,
    "sparse": sparse_loss,
    "contractive": contractive_loss,
    "masked": reconstruction_loss,
    "wasserstein": wasserstein_loss,
    "adversarial": adversarial_loss,
    "factor": factor_loss,
    "importance_weighted": importance_weighted_loss,
    "vector_quantised": vector_quantised_loss,
    "finite_scalar": reconstruction_loss,  # whose gradient passes straight through
    "gumbel": gumbel_loss,
    "conditional": variational_loss,
    "semi_supervised": semi_supervised_loss,
    "ladder": ladder_loss,
    "vae_gan": vae_gan_loss,
}
"""By the names of search_spaces.autoencoder.families.FAMILIES."""


def training_loss(
    model: AutoencoderModel,
    examples: Tensor,
    hyperparameters: Mapping[str, Any],
    progress: float,
    generator: torch.Generator,
) -> Tensor:
    """Compute the loss of the ``family`` that the hyperparameters name; by default that of the kind of model.

    See evaluators.autoencoder.batch.Batch for the arguments.
    """
    family = hyperparameters.get("family", "variational" if model.variational else "plain")
    return LOSSES[family](Batch(model, examples, hyperparameters, progress, generator))
