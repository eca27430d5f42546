"""The losses of autoencoders."""

from __future__ import annotations

from torch import Tensor

from evaluators.autoencoder.batch import Batch
from evaluators.autoencoder.corruption import change_examples
from evaluators.autoencoder.posteriors import LadderPosterior


def reconstruction_loss(batch: Batch) -> Tensor:
    """Compute the mean error of a reconstruction, over what the model is asked for.

    It is shown the example, or a corrupted one (Vincent et al. 2008) or a part of it (He et al. 2022), of which it is
    asked for what it is not shown; see evaluators.autoencoder.corruption.
    """
    seen, asked = change_examples(batch.examples, batch.hyperparameters, batch.model.words, batch.generator)
    return batch.measure_error(batch.model.decoder(batch.model.encode(seen)), asked)


def variational_loss(batch: Batch) -> Tensor:
    """Compute what the divergence of codes costs minus the log-likelihood; see `draw_bound`."""
    return draw_bound(batch)[0]


def draw_bound(batch: Batch) -> tuple[Tensor, Tensor]:
    """Compute the loss of a variational model, in nats, the mean over the batch; and give the codes (N, latent) drawn.

    It is what the divergence of codes costs minus the log-likelihood: with a cost of 1 a nat minus Kingma & Welling's
    bound; see `weigh_divergence`. A Gaussian likelihood has the variance that is optimal for the batch: with a fixed
    one, codes of images of small contrast are not worth their nats, and collapse. The divergence from a learned prior
    is estimated by the code that is drawn.
    """
    posterior = batch.model.infer(batch.examples)
    code, ratio = posterior.draw(batch.generator)
    likelihoods = batch.log_likelihood(code)
    divergences = posterior.divergence()
    mean = -ratio.mean(0, keepdim=True) if divergences is None else divergences.mean(0)
    return batch.weigh_divergence(mean) - likelihoods.mean(), code


def ladder_loss(batch: Batch) -> Tensor:
    """Compute what the divergences of all layers cost minus the log-likelihood, in nats, the mean over the batch.

    Sønderby et al. 2016, equation 4: a layer's divergence is that from its prior given the layer above, as drawn.
    """
    posterior = batch.model.infer(batch.examples)
    assert isinstance(posterior, LadderPosterior)
    code, _, divergences = posterior.descend(batch.generator)
    likelihoods = batch.log_likelihood(code)
    return batch.weigh_divergence(divergences.mean(0)) - likelihoods.mean()
