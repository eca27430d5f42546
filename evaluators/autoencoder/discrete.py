"""The losses of autoencoders with discrete codes, and how a codebook is learnt and how much of it is used."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluators.autoencoder.batch import Batch
from evaluators.autoencoder.bounds import AutoencoderModel
from evaluators.autoencoder.posteriors import CategoricalPosterior
from evaluators.training.precision import full_precision
from nas.data.dataset import batches

_COMMITMENT = 0.25  # van den Oord et al. 2017, section 3.2
_DECAY = 0.99  # appendix A.1
_DEAD = 0.1  # of an even share of a batch: a vector that is nearest to fewer is moved to where there are some


def vector_quantised_loss(batch: Batch) -> Tensor:
    """Compute the error of a reconstruction and a quarter of the squared distance of the codes from their vectors.

    van den Oord et al. 2017, equation 3, with means over all values instead of sums. A model in training has its
    codebook moved as well, which is the second term's matter there; see `revive_vectors` and `move_codebook`.
    """
    values, quantiser = batch.model.module.encoder(batch.examples).float(), batch.model.module.quantiser
    with full_precision(batch.examples.device):  # the nearest by eight bits may be another
        vectors = values.detach().reshape(-1, quantiser.dimension)
        if quantiser.training:
            revive_vectors(quantiser.codebook, quantiser.usage, vectors, batch.generator)
        indices = quantiser.find_indices(values.detach())
        nearest = quantiser.look_up(indices)
        if quantiser.training:
            move_codebook(quantiser.codebook, quantiser.usage, vectors, indices.flatten())
    code = values + (nearest - values).detach()
    return batch.measure_error(batch.model.decoder(code)) + _COMMITMENT * F.mse_loss(values, nearest)


@torch.no_grad()
def revive_vectors(codebook: Tensor, usage: Tensor, vectors: Tensor, generator: torch.Generator) -> None:
    """Put vectors of a batch in place of those of a codebook that hardly any are near to, and let these begin anew.

    Those are dead that had less than a tenth of an even share: at the beginning all of them, so that a codebook begins
    where its vectors are. As each takes another vector, a small batch revives as many as it has.

    Args:
        codebook: (size, dimension), changed in place.
        usage: how many vectors of a batch were nearest to each, (size,), changed in place.
        vectors: of a batch, (M, dimension).
    """
    share = len(vectors) / len(codebook)
    dead = (usage < _DEAD * share).nonzero()[:, 0]
    chosen = torch.randperm(len(vectors), generator=generator, device=vectors.device)[: len(dead)]
    codebook[dead[: len(chosen)]] = vectors[chosen]
    usage[dead[: len(chosen)]] = share


@torch.no_grad()
def move_codebook(codebook: Tensor, usage: Tensor, vectors: Tensor, indices: Tensor) -> None:
    """Move a codebook's vectors towards the means of those that are nearest to them.

    van den Oord et al. 2017, equations 6 to 8: numbers and sums of what is nearest are moving averages, and a vector
    is their quotient.

    Args:
        codebook, usage: see `revive_vectors`; changed in place.
        vectors: of a batch, (M, dimension).
        indices: of what is nearest to each, (M,).
    """
    counts = torch.bincount(indices, minlength=len(codebook)).to(codebook.dtype)
    sums = torch.zeros_like(codebook).index_add_(0, indices, vectors)
    kept = _DECAY * usage
    moved = (kept[:, None] * codebook + (1 - _DECAY) * sums) / (kept + (1 - _DECAY) * counts)[:, None]
    used = kept + counts > 0  # of what never was used there is no mean
    codebook.copy_(torch.where(used[:, None], moved, codebook))
    usage.copy_(kept + (1 - _DECAY) * counts)


@torch.no_grad()
def count_uses(model: AutoencoderModel, examples: Tensor) -> Tensor:
    """Count how often each vector of a codebook is part of the codes of examples (N, ...), (size,) int64."""
    size = model.module.quantiser.size
    found = [model.module.encode_indices(examples[rows]).flatten() for rows in batches(examples)]
    return torch.bincount(torch.cat(found), minlength=size)


def gumbel_loss(batch: Batch) -> Tensor:
    """Compute what the divergence of categories costs minus the log-likelihood, in nats, the mean over the batch.

    Jang et al. 2017, section 3: codes lie between categories, at a temperature that falls from 1 to the
    ``final_temperature``, by the same factor in the same time. The divergence is that of the categories from uniform
    ones; see batch.weigh_divergence.
    """
    posterior = batch.model.infer(batch.examples)
    assert isinstance(posterior, CategoricalPosterior)
    code = posterior.relax(batch.hyperparameters["final_temperature"] ** batch.progress, batch.generator)
    likelihoods = batch.log_likelihood(code)
    return batch.weigh_divergence(posterior.divergence().mean(0)) - likelihoods.mean()
