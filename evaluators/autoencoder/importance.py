"""The loss of importance-weighted autoencoders."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from evaluators.autoencoder.batch import Batch
from evaluators.autoencoder.posteriors import NormalPosterior


def importance_weighted_loss(batch: Batch) -> Tensor:
    """Compute minus the bound of the log-likelihood by ``importance_samples`` codes, in nats, the mean over the batch.

    Burda et al. 2016, equation 8. The ``gradient`` is the ``plain`` one, or with regard to the encoder the
    ``doubly_reparameterised`` one (Tucker et al. 2019, equation 7), which has the same mean, and whose variance does
    not grow with the samples. A Gaussian likelihood has the variance that is optimal for the batch and all its samples
    alike, as for variational_loss.
    """
    posterior, count = batch.model.infer(batch.examples), int(batch.hyperparameters["importance_samples"])
    assert isinstance(posterior, NormalPosterior)
    posterior = posterior.repeat(count)
    code, _ = posterior.draw(batch.generator)
    double = batch.hyperparameters["gradient"] == "doubly_reparameterised"
    repeated = batch.examples.repeat(count, *[1] * (batch.examples.ndim - 1))
    reached = replace(batch, examples=repeated).log_likelihood(code)
    # an encoder has its say by way of the codes alone where its gradient is the other one
    ratio = (posterior.detach() if double else posterior).log_ratio(code)
    return -bound_by_weights(torch.unflatten(reached + ratio, 0, (count, -1)), code if double else None).mean()


def bound_by_weights(log_weights: Tensor, code: Tensor | None = None) -> Tensor:
    """Compute the logarithm of the mean of weights p(x, z) / q(z|x), given their logarithms (K, N), (N,).

    Args:
        code: the codes (K * N, latent) that they are of, for the doubly reparameterised gradient: what flows back
            through a code is multiplied by its weight once more. The logarithms must know the encoder by them alone.
    """
    bound = log_weights.logsumexp(0) - math.log(len(log_weights))
    if code is None or not code.requires_grad:
        return bound
    shares = log_weights.detach().softmax(0)
    code.register_hook(lambda gradient: gradient * shares.flatten()[:, None])  # type: ignore[no-untyped-call]
    return bound
