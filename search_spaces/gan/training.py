"""The decisions about how a pair is trained: losses, penalties, noise, optimisers. All are hyperparameters."""

from __future__ import annotations

from search_spaces.choices import Asker

_WITH_TARGETS = ("minimax", "non_saturating", "maximum_likelihood", "least_squares")  # one an image, to be smoothed
LOSSES = (*_WITH_TARGETS, "hinge", "wasserstein_clipping", "wasserstein_gradient_penalty")
LEARNING_RATES = (0.00005, 0.0001, 0.0002, 0.0004, 0.0008, 0.0016)


def decide_training(ask: Asker) -> str:
    """Ask for everything that the evaluator needs to know; gives the loss, on which some layers depend.

    The usual answers are those of Radford et al. 2016 (DCGAN), Adam with beta1 0.5 and the non-saturating loss, but for
    the learning rates: their 0.0002 suits trainings of 100,000 updates, 0.0008 the 1,000 or so that a trial has
    (docs/benchmarks.md), and the generator is averaged.
    """
    loss = str(ask.hyperparameter("loss", LOSSES, usual="non_saturating"))
    if loss == "wasserstein_clipping":
        ask.hyperparameter("clip", (0.01, 0.03, 0.1), ordered=True, usual=0.01)
    elif loss == "wasserstein_gradient_penalty":
        ask.hyperparameter("gradient_penalty", (1.0, 10.0), ordered=True, usual=10.0)
    ask.hyperparameter("r1", (0.0, 0.01, 0.1, 1.0, 10.0), ordered=True, usual=0.0)
    ask.hyperparameter("noise", ("normal", "uniform"), usual="normal")
    ask.hyperparameter("noise_scale", (0.5, 0.7, 1.0, 1.4), ordered=True, usual=1.0)
    ask.hyperparameter("discriminator_steps", (1, 2, 3, 5), ordered=True, usual=1)
    if loss in _WITH_TARGETS:
        smoothed = ask.hyperparameter("label_smoothing", ("none", "one_sided", "two_sided"), usual="none")
        if smoothed != "none":
            ask.hyperparameter("smoothing", (0.05, 0.1, 0.2), ordered=True, usual=0.1)
    if ask.hyperparameter("instance_noise", (0.0, 0.05, 0.1, 0.2), ordered=True, usual=0.0) > 0:
        ask.hyperparameter("instance_noise_decay", (0.25, 0.5, 1.0), ordered=True, usual=0.5)
    ask.hyperparameter("diff_augment", ("none", "colour", "translation", "cutout", "all"), usual="none")
    ask.hyperparameter("batch_norm_momentum", (0.01, 0.1, 0.3), ordered=True, usual=0.1)
    ask.hyperparameter("generator_learning_rate", LEARNING_RATES, ordered=True, usual=0.0008)
    ask.hyperparameter("discriminator_learning_rate", LEARNING_RATES, ordered=True, usual=0.0008)
    ask.hyperparameter("beta1", (0.0, 0.5, 0.9), ordered=True, usual=0.5)
    ask.hyperparameter("beta2", (0.9, 0.99, 0.999), ordered=True, usual=0.999)
    ask.hyperparameter("ema", (0.0, 0.9, 0.99, 0.999), ordered=True, usual=0.99)
    return loss


RECIPE: dict[str, str | int | float] = {
    "loss": "hinge",
    "r1": 0.0,
    "noise": "normal",
    "noise_scale": 1.0,
    "discriminator_steps": 5,
    "instance_noise": 0.0,
    "diff_augment": "none",
    "batch_norm_momentum": 0.1,
    "generator_learning_rate": 0.0002,
    "discriminator_learning_rate": 0.0002,
    "beta1": 0.0,
    "beta2": 0.9,
    "ema": 0.999,
}
"""How AutoGAN and AdversarialNAS are trained while they are searched, as their authors' scripts have it."""


def decide_recipe(ask: Asker) -> None:
    """The decisions of `decide_training` with one value each: they count once in a space's size."""
    for site, value in RECIPE.items():
        ask.hyperparameter(site, (value,), usual=value)
