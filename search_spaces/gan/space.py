"""The decisions that make a pair: how it is trained, what it is told, the generator, the discriminator."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any, Self

from nas.core.errors import InvalidGenotype, UserError
from nas.core.genotype import Genotype
from nas.core.space import Choice, Choose, Condition, Shape, Value
from nas.core.supernet import Alphas, Derived, Path, SupernetPlan
from search_spaces.cells.canonical import canonical_cell
from search_spaces.cells.derivation import path_of_cell
from search_spaces.cells.encodings import ENCODINGS
from search_spaces.choices import Asker, ChoiceSpace
from search_spaces.gan.derivation import CELLS, derive_pair
from search_spaces.gan.describing import describe
from search_spaces.gan.training import LossTraits, decide_training

if TYPE_CHECKING:
    from torch import nn

LATENT = (16, 32, 64, 100, 128, 256)
CONDITIONS = ("none", "concatenation", "one_hot_maxout", "projection")
GENERATORS = ("fully_connected", "convolutional", "cells", "style")
DISCRIMINATORS = ("fully_connected", "convolutional", "cells")
WIDTHS = (16, 24, 32, 48, 64, 96, 128)
HIDDEN_WIDTHS = (64, 128, 256, 512, 1024)
STAGES = (1, 2, 3, 4)
LAYERS = (1, 2, 3, 4)
GROWTH = (1.0, 1.5, 2.0)
UP = ("transposed_convolution", "nearest", "bilinear", "pixel_shuffle")
DOWN = ("strided_convolution", "average", "max")
ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu")


_RELAXABLE: dict[str, Value] = {"generator": "cells", "discriminator": "cells"}


class GanSpace(ChoiceSpace):
    """Pairs of a generator and a discriminator of images, of several families each, searched together.

    Unless the values say otherwise the usual pair is DCGAN (Radford et al. 2016) at half its width, with quicker
    learning rates. A generator begins at the size that its stages leave when each halves the image's, rounded up, while
    both sides are at least 4, and crops what doubling adds: every genotype serves every size of image from 4x4 on.

    How both halves are told a condition is a decision as well. What is told, if anything, is known once the space is
    `conditioned` on the data; before that, genotypes with a condition cannot be built.

    Attributes:
        losses: those that are offered, keys of search_spaces.gan.training.LOSSES. A subclass, with a name of its own,
            may offer others; this version always offers the same, so that a seed draws the same genotypes.
    """

    name = "gan"
    version = 1
    task = "gan"
    losses: tuple[str, ...] = (
        "minimax",
        "non_saturating",
        "maximum_likelihood",
        "least_squares",
        "hinge",
        "wasserstein_clipping",
        "wasserstein_gradient_penalty",
    )

    def __init__(self) -> None:
        super().__init__()
        self._condition: Condition | None = None
        self._without_condition = False

    def conditioned(self, condition: Condition | None) -> Self:
        """The same space with models that may be told this condition; see nas.core.space.Conditionable.

        Raises:
            UserError: restrictions ask for a condition, and there is none.
        """
        asked = self._restrictions.get("condition", CONDITIONS)
        if condition is None and "none" not in asked:
            why = "the data has neither labels nor vectors"
            raise UserError("condition", ", ".join(map(str, asked)), "none", why=why)
        space = copy.copy(self)
        space._condition, space._without_condition, space._arising = condition, condition is None, None
        return space

    def _unrestricted(self) -> Self:
        space = type(self)()
        space._condition, space._without_condition = self._condition, self._without_condition
        return space

    def decide(self, ask: Asker) -> None:
        """Ask for every choice."""
        loss = decide_training(ask, self.losses)
        ask.structure("latent", LATENT, ordered=True, usual=100)
        ask.structure("initialisation", ("dcgan", "orthogonal", "default"), usual="dcgan")
        ask.structure("condition", ("none",) if self._without_condition else CONDITIONS, usual="none")
        self._decide_generator(ask)
        self._decide_discriminator(ask, loss)

    def _decide_generator(self, ask: Asker) -> None:
        family = ask.structure("generator", GENERATORS, usual="convolutional")
        ask.structure("generator_activation", ACTIVATIONS, usual="relu")
        if family in ("fully_connected", "convolutional"):
            ask.structure("generator_normalisation", ("none", "batch", "group", "layer"), usual="batch")
        if family == "fully_connected":
            ask.structure("generator_layers", LAYERS, ordered=True, usual=3)
            ask.structure("generator_hidden_width", HIDDEN_WIDTHS, ordered=True, usual=512)
            return
        stages = ask.structure("generator_stages", STAGES, ordered=True, usual=3)
        ask.structure("generator_width", WIDTHS, ordered=True, usual=32)
        ask.structure("generator_growth", GROWTH, ordered=True, usual=2.0)
        if family in ("convolutional", "style"):
            ask.structure("up_sampling", UP, usual="transposed_convolution")
        if family == "style":
            ask.structure("mapping_depth", (1, 2, 4, 8), ordered=True, usual=8)
            ask.structure("style_width", (64, 128, 256, 512), ordered=True, usual=128)
            ask.structure("style_noise", (False, True), usual=True)
            ask.hyperparameter("style_mixing", (0.0, 0.5, 0.9), ordered=True, usual=0.9)
        elif family == "cells":
            decide_up_cells(ask, stages)

    def _decide_discriminator(self, ask: Asker, loss: LossTraits) -> None:
        family = ask.structure("discriminator", DISCRIMINATORS, usual="convolutional")
        ask.structure("discriminator_activation", ACTIVATIONS, usual="leaky_relu")
        if loss.gradient_penalty or not ask.structure("discriminator_batch_norm", (False, True), usual=True):
            ask.structure("discriminator_normalisation", ("none", "group", "layer"), usual="none")
        ask.structure("spectral_norm", (False, True), usual=False)
        ask.structure("minibatch", ("none", "discrimination", "standard_deviation"), usual="none")
        ask.structure("dropout", (0.0, 0.1, 0.25, 0.5), ordered=True, usual=0.0)
        if family == "fully_connected":
            ask.structure("discriminator_layers", LAYERS, ordered=True, usual=3)
            ask.structure("discriminator_hidden_width", HIDDEN_WIDTHS, ordered=True, usual=512)
            return
        ask.structure("discriminator_stages", STAGES, ordered=True, usual=3)
        ask.structure("discriminator_width", WIDTHS, ordered=True, usual=32)
        ask.structure("discriminator_growth", GROWTH, ordered=True, usual=2.0)
        ask.structure("down_sampling", DOWN, usual="strided_convolution")
        ask.structure("discriminator_head", ("flatten", "sum"), usual="flatten")
        if family == "cells":
            ENCODINGS["edge"].decide(ask.within("discriminator_cell"))

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """A search_spaces.gan.modules.Gan for images (N, *shape) in [0, 1].

        Raises:
            InvalidGenotype: it has a condition, and the space is not conditioned on any.
        """
        from search_spaces.gan.build import build

        self.validate(genotype)
        if self._condition is None and genotype.content["condition"] != "none":
            raise InvalidGenotype("condition", "cannot be built before it is known what the data says of an image")
        return build(genotype.content, shape, self._condition)

    # -- nas.core.supernet.SharesWeights: the supernet of both halves' edge cells, and of the generator's up-samplings

    def base(self, choose: Choose) -> Genotype:
        """A pair of edge cells as large as they may be, all of one width as AdversarialNAS's; see Relaxable.base."""

        def answer(choice: Choice) -> Value:
            if choice.site.endswith("_cell.nodes"):
                return max(choice.values)
            if choice.site.endswith("_growth"):
                return min(choice.values)
            needed = "edge" if choice.site.endswith(".block") else _RELAXABLE.get(choice.site)
            return needed if needed in choice.values else choose(choice)

        genotype = self.grow(answer)
        for site, needed in _RELAXABLE.items():
            if genotype.content[site] != needed:
                raise InvalidGenotype(site, f"is {genotype.content[site]!r}, a supernet needs {needed!r}")
        if "generator_cell.nodes" not in genotype.content:
            raise InvalidGenotype("generator_stage0.block", "no block is 'edge', a supernet needs one")
        if not any(len(values) > 1 for site, values in self._allowed(genotype).items() if "_cell." in site):
            raise InvalidGenotype("generator_cell", "both cells are decided in full, there is nothing to relax")
        return genotype

    def relax(self, genotype: Genotype, shape: Shape, plan: SupernetPlan) -> nn.Module:
        """The supernet of a base, each half with log-weights of its own; see Relaxable.relax."""
        from search_spaces.gan.supernet import relax_pair

        return relax_pair(genotype.content, self._allowed(genotype), shape, self._condition, plan)

    def derive(self, genotype: Genotype, alphas: Alphas, max_skips: int | None = None) -> Derived:
        """The base with the cells and the up-samplings that the alphas stand for; see Relaxable.derive."""
        decided, skips = derive_pair(self._allowed(genotype), alphas, max_skips)
        derived = Genotype.of(self.name, self.version, {**genotype.content, **decided})
        self.validate(derived)
        return Derived(derived, skips)

    def path(self, genotype: Genotype) -> Path:
        """The edges of both cells, and every up-sampling of the generator; see nas.core.supernet.SharesWeights."""
        content, edges = genotype.content, ENCODINGS["edge"].edges
        ups = {site: (str(way),) for site, way in content.items() if site.endswith(".up_sampling")}
        cells = [path_of_cell(edges(content, cell), cell) for cell in CELLS]
        return {**ups, **cells[0], **cells[1]}

    def paths(self, base: Genotype) -> Self:
        """Both cells' decisions and the up-samplings are left open; see nas.core.supernet.SharesWeights."""
        fixed = {s: (v,) for s, v in base.content.items() if "_cell." not in s and not s.endswith(".up_sampling")}
        return self.restrict(fixed, "--weight-sharing")

    def _allowed(self, genotype: Genotype) -> dict[str, tuple[Value, ...]]:
        """What each site of a base may be; the number of nodes stays."""
        allowed = {d.choice.site: d.choice.values for d in self.trace(genotype)}
        return allowed | {f"{cell}.nodes": (genotype.content[f"{cell}.nodes"],) for cell in CELLS}

    def canonical_form(self, genotype: Genotype) -> str:
        """Cells as what they compute, all other decisions as they are; see nas.core.space.Canonical."""
        content: dict[str, Any] = {
            site: value
            for site, value in genotype.content.items()
            if not site.startswith(tuple(f"{c}." for c in CELLS))
        }
        for cell in CELLS:
            if f"{cell}.nodes" in genotype.content:
                content[cell] = canonical_cell(ENCODINGS["edge"].edges(genotype.content, cell))
        for half in ("generator", "discriminator"):
            if content.get(f"{half}_stages") == 1:
                content.pop(f"{half}_growth")  # nothing grows
        return json.dumps(content, sort_keys=True)

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line: both halves, what they are told, how they are trained."""
        return describe(genotype.content)


def decide_up_cells(ask: Asker, stages: int) -> None:
    """Ask for every cell of a generator, as Gong et al. 2019 (AutoGAN), section 3.1, and more.

    A cell is AutoGAN's residual block or a convolution followed by the searched cell ``generator_cell``, which all
    stages share. Both may have a shortcut, and take the features of any earlier cells in.
    """
    edges = False
    for stage in range(stages):
        here = ask.within(f"generator_stage{stage}")
        if here.structure("block", ("residual", "edge"), usual="residual") == "residual":
            here.structure("order", ("pre_activation", "post_activation"), usual="pre_activation")
        else:
            edges = True
        decide_up_cell(here, stage, UP)
    if edges:
        ENCODINGS["edge"].decide(ask.within("generator_cell"))


def decide_up_cell(ask: Asker, stage: int, up: tuple[str, ...]) -> None:
    """Ask for what AutoGAN decides of every cell but the order of its layers."""
    ask.structure("normalisation", ("none", "batch", "instance"), usual="batch")
    ask.operation("up_sampling", up, usual="nearest")
    ask.structure("shortcut", (False, True), usual=True)
    for earlier in range(stage):
        ask.structure(f"skip_in{earlier}", (False, True), usual=False)
