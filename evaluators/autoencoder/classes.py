"""The loss of autoencoders that know the classes of some examples."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluators.autoencoder.bounds import AutoencoderModel, fit_variance, log_likelihood, name_likelihood
from evaluators.autoencoder.losses import weigh_divergence
from evaluators.autoencoder.posteriors import ClassPosterior


def semi_supervised_loss(
    model: AutoencoderModel,
    examples: Tensor,
    hyperparameters: Mapping[str, Any],
    progress: float,
    generator: torch.Generator,
) -> Tensor:
    """Compute minus the bound of the log-likelihood, in nats, the mean over the batch, and the classifier's loss.

    Kingma et al. 2014, equations 6 to 9 (M2): of an example whose class is seen the bound is that of both, with uniform
    classes; else it is the mean over all classes, by the classifier's probabilities, and their entropy. To it comes the
    ``classification_weight`` times the classifier's cross-entropy, the mean over those that are seen. A Gaussian
    likelihood has the variance that is optimal for the batch, each example being of its likeliest class.
    """
    posterior, labels = model.infer(examples), model.labels
    assert isinstance(posterior, ClassPosterior)
    assert labels is not None
    seen, hidden = (labels >= 0).nonzero()[:, 0], (labels < 0).nonzero()[:, 0]
    log_shares, classes = posterior.log_shares, model.module.classes
    # whose class is hidden is once of each
    rows = torch.cat((seen, hidden.repeat_interleave(classes)))
    given = torch.cat((labels[seen], torch.arange(classes, device=labels.device).repeat(len(hidden))))
    shares = torch.cat((torch.ones(len(seen), device=labels.device), log_shares[hidden].exp().flatten()))
    likeliest = torch.where(labels < 0, log_shares.argmax(1), labels)

    told = ClassPosterior(model.module, examples[rows], log_shares[rows]).given(given)
    raw = model.decoder(told.draw(generator)[0]).float()
    variance = None
    if (likelihood := name_likelihood(hyperparameters)) == "gaussian":
        believed = given == likeliest[rows]
        variance = fit_variance(model, raw[believed], examples[rows][believed])
    reached = log_likelihood(model, raw, examples[rows], likelihood, variance)
    divergences = told.divergence()
    assert divergences is not None
    cost = weigh_divergence((shares[:, None] * divergences).sum(0) / len(examples), hyperparameters, progress)
    unsure = torch.special.entr(log_shares[hidden].exp()).sum() / len(examples)
    bound = (shares * reached).sum() / len(examples) - cost + unsure - math.log(classes)
    wrong = F.nll_loss(log_shares[seen], labels[seen]) if len(seen) else torch.zeros((), device=labels.device)
    weight: float = hyperparameters["classification_weight"]
    loss: Tensor = weight * wrong - bound
    return loss
