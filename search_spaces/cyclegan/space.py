"""The decisions that make a CycleGAN: how it is trained, its translators and its discriminators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nas.core.genotype import Genotype, canonical_text
from nas.core.space import Link, Shape
from search_spaces.cells.canonical import canonicalise_cells
from search_spaces.cells.encodings import ENCODINGS, draw_cells
from search_spaces.choices import Asker, ChoiceSpace, is_within, select_within
from search_spaces.gan.description import describe_loss, describe_optimiser
from search_spaces.gan.training import OPTIMISERS, LossTraits, decide_loss
from search_spaces.operations.names import ACTIVATIONS, UP_SAMPLINGS

if TYPE_CHECKING:
    from torch import nn

BLOCKS = ("residual", "separable", "dilated", "cell")
WIDTHS = (8, 16, 24, 32, 48, 64)
LEARNING_RATES = (0.00005, 0.0001, 0.0002, 0.0004, 0.0008, 0.0016)
HALVES = ("generator", "discriminator")
BACKWARD = {half: f"backward_{half}" for half in HALVES}
"""The halves of the direction from B to A, where they have decisions of their own."""
CELLS = ("generator.cell", "backward_generator.cell")


class CycleGanSpace(ChoiceSpace):
    """Two translators between two domains of images and a discriminator for each, searched together.

    The usual one is that of Zhu et al. 2017 (sections 4 and 7), with less of everything for small images: one stage of
    down-sampling and three residual blocks where images of 128 x 128 have two and six, half the width, and a
    discriminator whose patches are of 16 x 16 where they are of 70 x 70 in images of 256. Any size of image from 4x4
    on will do: a stage halves the size, rounded up, while both sides are at least 4.

    If the `directions` are alike, both translators have one architecture, and both discriminators; if each has its
    own, ``generator`` and ``discriminator`` are those of A to B, and ``backward_generator`` and
    ``backward_discriminator`` those of B to A, the latter being the one that judges images of A.

    Attributes:
        losses: those that are offered; see search_spaces.gan.space.GanSpace.
    """

    name = "cyclegan"
    version = 2  # the first had no choice of optimiser, and offered batch norm to relativistic losses
    readable = (1,)
    prefers_usual = 2
    task = "cyclegan"
    data_kinds = ("image_pair",)
    losses: tuple[str, ...] = ("least_squares", "non_saturating", "hinge", "wasserstein_gradient_penalty")

    def decide(self, ask: Asker) -> None:
        """Ask for every choice."""
        loss = decide_cycle_training(ask, self.losses, self.version)
        ask.structure("initialisation", ("dcgan", "orthogonal", "xavier", "default"), usual="dcgan")
        _decide_generator(ask.within("generator"))
        penalised = loss.gradient_penalty if self.version == 1 else loss.penalises
        _decide_discriminator(ask.within("discriminator"), penalised)
        if ask.structure("directions", ("alike", "own"), usual="alike") == "own":
            _decide_generator(ask.within(BACKWARD["generator"]))
            _decide_discriminator(ask.within(BACKWARD["discriminator"]), penalised)

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """A search_spaces.cyclegan.modules.CycleGan for images (N, *shape) in [0, 1]."""
        from search_spaces.cyclegan.build import build_translators

        self.validate(genotype)
        return build_translators(genotype.content, shape)

    def canonical_form(self, genotype: Genotype) -> str:
        """Cells as what they compute, and directions with a decision each that are the same as alike."""
        content = canonicalise_cells(genotype.content, CELLS, ENCODINGS["edge"].edges)
        backward = {site: value for site, value in content.items() if is_within(site, *BACKWARD.values())}
        forward = {f"backward_{site}": value for site, value in content.items() if is_within(site, *HALVES)}
        if backward == forward:
            content = {site: value for site, value in content.items() if site not in backward}
            content["directions"] = "alike"
        return canonical_text(content)

    def graphs(self, genotype: Genotype) -> dict[str, list[Link]]:
        """The cells of its translators; see nas.core.space.Drawable."""
        return draw_cells(genotype.content, CELLS)

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line: translators, discriminators, how they are trained."""
        content = genotype.content
        parts = [
            f"G {_describe_translator(content, 'generator')}",
            f"D {_describe_discriminator(content, 'discriminator')}",
        ]
        if content["directions"] == "own":
            parts.append(f"back: G {_describe_translator(content, BACKWARD['generator'])}")
            parts.append(f"D {_describe_discriminator(content, BACKWARD['discriminator'])}")
        parts.append(f"{content['initialisation']} initialisation")
        parts.append(_describe_training(content))
        return "; ".join(parts).replace("_", " ")


def decide_cycle_training(ask: Asker, losses: tuple[str, ...], version: int) -> LossTraits:
    """Ask for everything that the evaluator needs to know; gives what the loss is, on which some layers depend.

    The usual answers are those of Zhu et al. 2017: least squares, a buffer of 50 images, lambda 10 (section 4), Adam at
    0.0002 with beta1 0.5 and a rate that falls in the second half. The identity loss, whose weight is in units of
    lambda, is not part of their objective (equation 3) but of some applications, with 0.5 (section 5.2): it asks for
    translations near their originals. The paper's batches have one image of 256 x 256; of small images four have fewer
    pixels than that and take a quarter of the steps.
    """
    loss = decide_loss(ask, losses, usual="least_squares")
    ask.hyperparameter("cycle_weight", (1.0, 3.0, 10.0, 30.0), ordered=True, usual=10.0)
    ask.hyperparameter("identity_weight", (0.0, 0.1, 0.5), ordered=True, usual=0.0)
    ask.hyperparameter("buffer", (0, 50), ordered=True, usual=50)
    ask.hyperparameter("batch", (1, 4, 16), ordered=True, usual=4)
    ask.hyperparameter("generator_learning_rate", LEARNING_RATES, ordered=True, usual=0.0002)
    ask.hyperparameter("discriminator_learning_rate", LEARNING_RATES, ordered=True, usual=0.0002)
    ask.hyperparameter("linear_decay", (False, True), usual=True)
    optimiser = "adam" if version == 1 else ask.hyperparameter("optimiser", OPTIMISERS, usual="adam")
    if optimiser == "adam":
        without_momentum = loss.gradient_penalty and version > 1
        ask.hyperparameter("beta1", (0.0, 0.5, 0.9), ordered=True, usual=0.0 if without_momentum else 0.5)
    ask.hyperparameter("beta2", (0.9, 0.99, 0.999), ordered=True, usual=0.999)
    ask.hyperparameter("ema", (0.0, 0.9, 0.99, 0.999), ordered=True, usual=0.99)
    return loss


def _decide_generator(ask: Asker) -> None:
    ask.structure("width", WIDTHS, ordered=True, usual=32)
    ask.structure("growth", (1.0, 1.5, 2.0), ordered=True, usual=2.0)
    ask.structure("stages", (0, 1, 2, 3), ordered=True, usual=1)
    ask.structure("blocks", (1, 2, 3, 4, 6, 9), ordered=True, usual=3)
    if ask.operation("block", BLOCKS, usual="residual") == "cell":
        ENCODINGS["edge"].decide(ask.within("cell"))
    ask.structure("normalisation", ("none", "batch", "instance"), usual="instance")
    ask.structure("activation", ACTIVATIONS, usual="relu")
    ask.structure("padding", ("zero", "reflect"), usual="reflect")
    ask.operation("up_sampling", UP_SAMPLINGS, usual="transposed_convolution")
    ask.structure("skips", (False, True), usual=False)


def _decide_discriminator(ask: Asker, penalised: bool) -> None:
    ask.structure("width", WIDTHS, ordered=True, usual=32)
    ask.structure("growth", (1.0, 1.5, 2.0), ordered=True, usual=2.0)
    ask.structure("stages", (0, 1, 2, 3), ordered=True, usual=1)
    if penalised or not ask.structure("batch_norm", (False, True), usual=False):
        ask.structure("normalisation", ("none", "instance", "layer"), usual="instance")
    ask.structure("activation", ACTIVATIONS, usual="leaky_relu")
    ask.structure("spectral_norm", (False, True), usual=False)


def _describe_translator(content: Any, half: str) -> str:
    chosen = select_within(content, half)
    block = chosen["block"]
    if block == "cell":
        block += f" {ENCODINGS['edge'].describe(content, f'{half}.cell')}"
    skips = ", skips" if chosen["skips"] else ""
    return (
        f"{_describe_stages(chosen)}, {chosen['blocks']} x {block}, {chosen['normalisation']} norm, "
        f"{chosen['activation']}, {chosen['padding']} padding, {chosen['up_sampling']} up{skips}"
    )


def _describe_discriminator(content: Any, half: str) -> str:
    chosen = select_within(content, half)
    norm = "batch" if chosen.get("batch_norm") else chosen["normalisation"]
    spectral = ", spectral norm" if chosen["spectral_norm"] else ""
    return f"{_describe_stages(chosen)}, {norm} norm, {chosen['activation']}{spectral}"


def _describe_stages(chosen: dict[str, Any]) -> str:
    grows = f" x{chosen['growth']:g} a stage" if chosen["growth"] != 1 else ""
    several = "" if chosen["stages"] == 1 else "s"
    return f"{chosen['stages']} stage{several} from width {chosen['width']}{grows}"


def _describe_training(content: Any) -> str:
    return (
        f"{describe_loss(content)}, cycle {content['cycle_weight']:g}, identity {content['identity_weight']:g} of it, "
        f"buffer {content['buffer']}, batch {content['batch']}, "
        f"{describe_optimiser(content, falling=content['linear_decay'])}, EMA {content['ema']:g}"
    )
