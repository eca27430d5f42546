"""The loss of autoencoders that know the classes of some examples."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluators.autoencoder.batch import Batch
from evaluators.autoencoder.bounds import fit_variance, log_likelihood, name_likelihood
from evaluators.autoencoder.posteriors import ClassPosterior


def semi_supervised_loss(batch: Batch) -> Tensor:
    """Compute minus the bound of the log-likelihood, in nats, the mean over the batch, and the classifier's loss.

    Kingma et al. 2014, equations 6 to 9 (M2): of an example whose class is seen the bound is that of both, with uniform
    classes; else it is the mean over all classes, by the classifier's probabilities, and their entropy. To it comes the
    ``classification_weight`` times the classifier's cross-entropy, the mean over those that are seen. A Gaussian
    likelihood has the variance that is optimal for the batch, each example being of its likeliest class.
    """
    posterior, labels = batch.model.infer(batch.examples), batch.model.labels
    assert isinstance(posterior, ClassPosterior)
    assert labels is not None
    seen, hidden = (labels >= 0).nonzero()[:, 0], (labels < 0).nonzero()[:, 0]
    log_shares, classes = posterior.log_shares, batch.model.module.classes
    # whose class is hidden is once of each
    rows = torch.cat((seen, hidden.repeat_interleave(classes)))
    given = torch.cat((labels[seen], torch.arange(classes, device=labels.device).repeat(len(hidden))))
    shares = torch.cat((torch.ones(len(seen), device=labels.device), log_shares[hidden].exp().flatten()))
    likeliest = torch.where(labels < 0, log_shares.argmax(1), labels)

    told = ClassPosterior(batch.model.module, batch.examples[rows], log_shares[rows]).given(given)
    raw = batch.model.decoder(told.draw(batch.generator)[0]).float()
    variance = None
    if (likelihood := name_likelihood(batch.hyperparameters)) == "gaussian":
        believed = given == likeliest[rows]
        variance = fit_variance(batch.model, raw[believed], batch.examples[rows][believed])
    reached = log_likelihood(batch.model, raw, batch.examples[rows], likelihood, variance)
    divergences = told.divergence()
    assert divergences is not None
    cost = batch.weigh_divergence((shares[:, None] * divergences).sum(0) / len(batch.examples))
    unsure = torch.special.entr(log_shares[hidden].exp()).sum() / len(batch.examples)
    bound = (shares * reached).sum() / len(batch.examples) - cost + unsure - math.log(classes)
    wrong = F.nll_loss(log_shares[seen], labels[seen]) if len(seen) else torch.zeros((), device=labels.device)
    weight: float = batch.hyperparameters["classification_weight"]
    loss: Tensor = weight * wrong - bound
    return loss
