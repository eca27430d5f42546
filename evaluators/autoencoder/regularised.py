"""The losses of autoencoders whose codes are sparse, or change little."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from evaluators.autoencoder.batch import Batch


def sparse_loss(batch: Batch) -> Tensor:
    """Compute the mean error of a reconstruction, and what codes cost by an ``l1_weight``.

    The cost is the weight times the L1 norm of a code, by the values of an example; nothing where no weight is decided,
    as codes are sparse by themselves then (Makhzani & Frey 2014).
    """
    codes = batch.model.encode(batch.examples)
    error = batch.measure_error(batch.model.decoder(codes))
    if "l1_weight" not in batch.hyperparameters:
        return error
    weight: float = batch.hyperparameters["l1_weight"]
    return error + weight / batch.count_errors() * codes.float().abs().sum(1).mean()


def contractive_loss(batch: Batch) -> Tensor:
    """Compute the mean error of a reconstruction, and what it costs that codes change with their examples.

    The cost is the ``contraction_weight`` times the squared Frobenius norm of the encoder's Jacobian (Rifai et al.
    2011, equations 5 and 7), by the values of an example; see `estimate_contraction`.
    """
    codes, contraction = estimate_contraction(batch.model.encode, batch.examples, batch.generator)
    error = batch.measure_error(batch.model.decoder(codes))
    weight: float = batch.hyperparameters["contraction_weight"]
    return error + weight / batch.count_errors() * contraction


def estimate_contraction(
    encode: Callable[[Tensor], Tensor], examples: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Estimate the squared Frobenius norm of the Jacobian of codes by their examples (N, ...), the mean over these.

    Of one projection v ~ N(0, 1) of each code: E ||J'v||^2 = ||J||_F^2 (Hutchinson 1990). Where a batch is normalised,
    its examples have a say in each other's codes, and that is part of it.

    Returns:
        The codes (N, latent), and the estimate, a scalar that has gradients where they are asked for.
    """
    wanted = torch.is_grad_enabled()
    with torch.enable_grad():  # the slopes are needed to know the loss as well
        inputs = examples.detach().requires_grad_()
        codes = encode(inputs)
        projection = torch.randn(codes.shape, generator=generator, device=codes.device)
        (slopes,) = torch.autograd.grad((codes * projection).sum(), inputs, create_graph=wanted, retain_graph=True)
    return codes, slopes.float().flatten(1).square().sum(1).mean()
