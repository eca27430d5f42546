"""The decisions about how a pair is trained: losses, penalties, noise, optimisers. All are hyperparameters."""

from __future__ import annotations

from dataclasses import dataclass

from search_spaces.choices import Asker


@dataclass(frozen=True)
class LossTraits:
    """Which decisions come with a loss; evaluators.adversarial.losses says the same of it, which a test checks.

    Attributes:
        targets: whether the labels are smoothed (``label_smoothing``).
        clips_weights: how far weights are clipped (``clip``).
        gradient_penalty: the weight of the gradient penalty (``gradient_penalty``). It is a term of single images,
            which a batch's statistics would mix (Gulrajani et al. 2017, section 4), so batch normalisation in the
            discriminator is not offered.
        relativistic: the weights of R1 on real images (``r1``) and of R2 on generated ones (``r2``), penalties of the
            same kind.
    """

    targets: bool = False
    clips_weights: bool = False
    gradient_penalty: bool = False
    relativistic: bool = False

    @property
    def penalises(self) -> bool:
        """Whether it comes with a penalty of the gradient."""
        return self.gradient_penalty or self.relativistic


LOSSES = {
    "minimax": LossTraits(targets=True),
    "non_saturating": LossTraits(targets=True),
    "maximum_likelihood": LossTraits(targets=True),
    "least_squares": LossTraits(targets=True),
    "hinge": LossTraits(),
    "wasserstein_clipping": LossTraits(clips_weights=True),
    "wasserstein_gradient_penalty": LossTraits(gradient_penalty=True),
    "relativistic": LossTraits(relativistic=True),
}
"""Every loss that a space may offer; which of them it does is its attribute ``losses``."""
OPTIMISERS = ("adam", "rmsprop")
"""Of both halves. AdamW is not among them: the recipes of no family have weight decay."""
STYLE_R1 = 0.1
"""Of style generators, of images in [0, 1]; from 0.01 to 10 it made no difference on digits (docs/benchmarks.md)."""
GAMMAS = (0.0, 0.01, 0.1, 1.0, 10.0)
LEARNING_RATES = (0.00005, 0.0001, 0.0002, 0.0004, 0.0008, 0.0016)


def decide_loss(ask: Asker, losses: tuple[str, ...], usual: str) -> LossTraits:
    """Ask for the loss, one of `losses`, and for the limit of the weights or the penalties that come with it.

    A relativistic loss usually has both its penalties, as its training need not converge with one or none (Huang et
    al. 2024, R3GAN, section 2).
    """
    loss = LOSSES[str(ask.hyperparameter("loss", losses, usual=usual if usual in losses else None))]
    if loss.clips_weights:
        ask.hyperparameter("clip", (0.01, 0.03, 0.1), ordered=True, usual=0.01)
    if loss.gradient_penalty:
        ask.hyperparameter("gradient_penalty", (1.0, 10.0), ordered=True, usual=10.0)
    if loss.relativistic:
        ask.hyperparameter("r1", GAMMAS, ordered=True, usual=0.1)
        ask.hyperparameter("r2", GAMMAS, ordered=True, usual=0.1)
    return loss


def decide_training(ask: Asker, losses: tuple[str, ...], *, style: bool, penalised: bool) -> bool:
    """Ask for everything that the evaluator needs to know, and whether the discriminator has batch normalisation.

    The usual answers are those of Radford et al. 2016 (DCGAN), Adam with beta1 0.5, batches of 64 at a constant rate
    and the non-saturating loss, but for the learning rates: their 0.0002 suits trainings of 100,000 updates, 0.0008 the
    1,000 or so that a trial has (docs/benchmarks.md), and the generator is averaged. What its paper warns of is not
    usual with a loss or a family:

    - where weights are clipped, momentum (Arjovsky et al. 2017, section 4.3): RMSprop, five steps of a critic without
      batch normalisation (algorithm 1), at the rate of the others, as theirs, 0.00005, moves little in 1,000 updates
      (docs/benchmarks.md);
    - with the gradient penalty, five steps of Adam without momentum (Gulrajani et al. 2017, algorithm 1);
    - style generators have a discriminator with R1 and without batch normalisation (Karras et al. 2019, appendix C);
      one that normalises single images, by groups, as theirs learns slowly at this length (docs/benchmarks.md).

    A penalty of the gradient, R1 as well, is a term of single images, so none is offered with batch normalisation in
    the discriminator.

    Args:
        style: whether the generator is of the family ``style``.
        penalised: whether R1 is asked for, so that batch normalisation is not offered.
    """
    loss = decide_loss(ask, losses, usual="non_saturating")
    clips, wasserstein = loss.clips_weights, loss.clips_weights or loss.gradient_penalty
    batch_norm = not (loss.penalises or penalised) and bool(
        ask.structure("discriminator_batch_norm", (False, True), usual=not (clips or style))
    )
    if not (batch_norm or loss.relativistic):
        ask.hyperparameter("r1", GAMMAS, ordered=True, usual=STYLE_R1 if style and not wasserstein else 0.0)
    _decide_noise(ask, loss, discriminator_steps=5 if wasserstein else 1)
    ask.hyperparameter("batch_size", (16, 32, 64, 128), ordered=True, usual=64)
    _decide_rates(ask)
    ask.hyperparameter("schedule", ("constant", "linear"), usual="constant")
    if ask.hyperparameter("optimiser", OPTIMISERS, usual="rmsprop" if clips else "adam") == "adam":
        ask.hyperparameter("beta1", (0.0, 0.5, 0.9), ordered=True, usual=0.0 if wasserstein else 0.5)
    beta2 = 0.99 if clips else 0.9 if loss.gradient_penalty else 0.999
    ask.hyperparameter("beta2", (0.9, 0.99, 0.999), ordered=True, usual=beta2)
    ask.hyperparameter("ema", (0.0, 0.9, 0.99, 0.999), ordered=True, usual=0.99)
    return batch_norm


def decide_first_training(ask: Asker, losses: tuple[str, ...]) -> tuple[LossTraits, bool]:
    """Ask as the first version did; gives the loss, and whether batch normalisation is usual in the discriminator."""
    loss = decide_loss(ask, losses, usual="non_saturating")
    penalised = loss.relativistic or ask.hyperparameter("r1", GAMMAS, ordered=True, usual=0.0) > 0
    clips = loss.clips_weights
    _decide_noise(ask, loss, discriminator_steps=5 if clips else 1)
    _decide_rates(ask)
    ask.hyperparameter("beta1", (0.0, 0.5, 0.9), ordered=True, usual=0.0 if clips else 0.5)
    ask.hyperparameter("beta2", (0.9, 0.99, 0.999), ordered=True, usual=0.99 if clips else 0.999)
    ask.hyperparameter("ema", (0.0, 0.9, 0.99, 0.999), ordered=True, usual=0.99)
    return loss, not (clips or penalised)


def _decide_noise(ask: Asker, loss: LossTraits, discriminator_steps: int) -> None:
    ask.hyperparameter("noise", ("normal", "uniform"), usual="normal")
    ask.hyperparameter("noise_scale", (0.5, 0.7, 1.0, 1.4), ordered=True, usual=1.0)
    ask.hyperparameter("discriminator_steps", (1, 2, 3, 5), ordered=True, usual=discriminator_steps)
    if loss.targets:
        smoothed = ask.hyperparameter("label_smoothing", ("none", "one_sided", "two_sided"), usual="none")
        if smoothed != "none":
            ask.hyperparameter("smoothing", (0.05, 0.1, 0.2), ordered=True, usual=0.1)
    if ask.hyperparameter("instance_noise", (0.0, 0.05, 0.1, 0.2), ordered=True, usual=0.0) > 0:
        ask.hyperparameter("instance_noise_decay", (0.25, 0.5, 1.0), ordered=True, usual=0.5)
    ask.hyperparameter("diff_augment", ("none", "colour", "translation", "cutout", "all"), usual="none")
    ask.hyperparameter("batch_norm_momentum", (0.01, 0.1, 0.3), ordered=True, usual=0.1)


def _decide_rates(ask: Asker) -> None:
    ask.hyperparameter("generator_learning_rate", LEARNING_RATES, ordered=True, usual=0.0008)
    ask.hyperparameter("discriminator_learning_rate", LEARNING_RATES, ordered=True, usual=0.0008)


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
