"""The loss of autoencoders whose errors are those of a critic's features, which are learned (VAE-GAN)."""

from __future__ import annotations

import torch
from torch import Tensor

from evaluators.adversarial.losses import ADVERSARIAL_LOSSES, HARD_TARGETS
from evaluators.autoencoder.batch import Batch
from evaluators.autoencoder.prior_matching import judge_held
from evaluators.metrics.likelihood import gaussian_log_likelihood, optimal_variance

_LOSS = ADVERSARIAL_LOSSES["non_saturating"]


def vae_gan_loss(batch: Batch) -> Tensor:
    """Compute what the divergence of codes costs minus the log-likelihood of features, and both sides' game, in nats.

    Larsen et al. 2016, equations 6 to 9 and algorithm 1. The likelihood is of what the critic's features are of images
    (N, C, H, W), given what they are of reconstructions: normal, with the variance that is optimal for the batch, where
    theirs is 1, as features have no scale of their own. The decoder alone learns, by the ``critic_weight`` (1 / gamma
    there), to have reconstructions and samples of the prior taken for images, the sum of -log D of either, where theirs
    is log (1 - D); the critic alone, to tell them from images, which count as much as both.
    """
    posterior, critic = batch.model.infer(batch.examples), batch.model.module.critic
    code, _ = posterior.draw(batch.generator)
    divergences = posterior.divergence()
    assert divergences is not None
    wanted, real = critic(batch.examples)
    target = wanted.detach().float()
    given = judge_held(critic, batch.model.decode(code))[0].float()
    similar = gaussian_log_likelihood(given, target, optimal_variance(given, target)).mean()

    prior = torch.randn(code.shape, generator=batch.generator, device=code.device)
    made = batch.model.decode(torch.cat((code.detach(), prior)))  # of which the decoder learns, and no encoder
    known = _LOSS.generator(judge_held(critic, made)[1].float(), None)
    learned = _LOSS.discriminator(real.float(), critic(made.detach())[1].float(), HARD_TARGETS)
    weight: float = batch.hyperparameters["critic_weight"]
    return batch.weigh_divergence(divergences.mean(0)) - similar + 2 * (weight * known + learned)
