"""The decisions that make a pair: how it is trained, what it is told, the generator, the discriminator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from nas.core.errors import InvalidGenotype, UserError
from nas.core.genotype import Genotype, canonical_text
from nas.core.space import Choice, Choose, Condition, Link, Shape, Value
from nas.core.supernet import Alphas, Path, SupernetPlan
from search_spaces.cells.canonical import canonicalise_cells
from search_spaces.cells.edge import name_nodes
from search_spaces.cells.encodings import ENCODINGS
from search_spaces.choices import Asker
from search_spaces.gan.description import describe_pair
from search_spaces.gan.training import GAMMAS, LOSSES, decide_first_training, decide_training
from search_spaces.operations.names import (
    ACTIVATIONS,
    DOWN_SAMPLINGS,
    SINGLE_IMAGE_NORMALISATIONS,
    UP_SAMPLINGS,
    VECTOR_NORMALISATIONS,
)
from search_spaces.weight_sharing import Preference, WeightSharingSpace

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
HALVES = ("generator", "discriminator")


def name_stage(stage: int) -> str:
    """What the decisions about one of a generator's cells are asked for within."""
    return f"generator_stage{stage}"


UP_SITES = tuple(f"{name_stage(stage)}.up_sampling" for stage in range(max(STAGES)))


class GanSpace(WeightSharingSpace):
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
    version = 2  # the first had no choice of batch size, optimiser and schedule, and offered R1 with batch norm
    readable = (1,)
    prefers_usual = 2
    task = "gan"
    cells = ("generator_cell", "discriminator_cell")
    required: Mapping[str, Value] = dict.fromkeys(HALVES, "cells")
    preferred: Mapping[str, Preference] = {
        **dict.fromkeys([f"{half}_growth" for half in HALVES], min),
        **dict.fromkeys([f"{name_stage(stage)}.block" for stage in range(max(STAGES))], "edge"),
    }
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
        space = self._with_restrictions(self._restrictions)
        space._condition, space._without_condition = condition, condition is None
        return space

    def decide(self, ask: Asker) -> None:
        """Ask for every choice."""
        if self.version == 1:
            loss, usual = decide_first_training(ask, self.losses)
            self._decide_surroundings(ask)
            self._decide_generator(ask, ask.structure("generator", GENERATORS, usual="convolutional"))
            self._decide_discriminator(ask, False if loss.gradient_penalty else None, usual)
            return
        family = ask.structure("generator", GENERATORS, usual="convolutional")
        penalised = 0.0 not in self._restrictions.get("r1", GAMMAS)
        batch_norm = decide_training(ask, self._list_losses(), style=family == "style", penalised=penalised)
        self._decide_surroundings(ask)
        self._decide_generator(ask, family)
        self._decide_discriminator(ask, batch_norm, normalisation="group" if family == "style" else "none")

    def _list_losses(self) -> tuple[str, ...]:
        """The losses that are offered: where batch normalisation is pinned, those that do not exclude it."""
        fitting = tuple(name for name in self.losses if not LOSSES[name].penalises)
        pinned = self._restrictions.get("discriminator_batch_norm") == (True,)
        return fitting if pinned and set(fitting) & set(self._restrictions.get("loss", fitting)) else self.losses

    def _decide_surroundings(self, ask: Asker) -> None:
        ask.structure("latent", LATENT, ordered=True, usual=100)
        ask.structure("initialisation", ("dcgan", "orthogonal", "default"), usual="dcgan")
        ask.structure("condition", ("none",) if self._without_condition else CONDITIONS, usual="none")

    def _decide_generator(self, ask: Asker, family: str) -> None:
        ask.structure("generator_activation", ACTIVATIONS, usual="relu")
        if family in ("fully_connected", "convolutional"):
            ask.structure("generator_normalisation", VECTOR_NORMALISATIONS, usual="batch")
        if family == "fully_connected":
            ask.structure("generator_layers", LAYERS, ordered=True, usual=3)
            ask.structure("generator_hidden_width", HIDDEN_WIDTHS, ordered=True, usual=512)
            return
        stages = ask.structure("generator_stages", STAGES, ordered=True, usual=3)
        ask.structure("generator_width", WIDTHS, ordered=True, usual=32)
        ask.structure("generator_growth", GROWTH, ordered=True, usual=2.0)
        if family in ("convolutional", "style"):
            ask.structure("up_sampling", UP_SAMPLINGS, usual="transposed_convolution")
        if family == "style":
            ask.structure("mapping_depth", (1, 2, 4, 8), ordered=True, usual=8)
            ask.structure("style_width", (64, 128, 256, 512), ordered=True, usual=128)
            ask.structure("style_noise", (False, True), usual=True)
            ask.hyperparameter("style_mixing", (0.0, 0.5, 0.9), ordered=True, usual=0.9)
        elif family == "cells":
            self._decide_up_cells(ask, stages)

    def _decide_up_cells(self, ask: Asker, stages: int) -> None:
        """Ask for every cell of a generator, as Gong et al. 2019 (AutoGAN), section 3.1, and more.

        A cell is AutoGAN's residual block or a convolution followed by the searched cell ``generator_cell``, which all
        stages share. Both may have a shortcut, and take the features of any earlier cells in.
        """
        edges = False
        for stage in range(stages):
            here = ask.within(name_stage(stage))
            if here.structure("block", ("residual", "edge"), usual="residual") == "residual":
                here.structure("order", ("pre_activation", "post_activation"), usual="pre_activation")
            else:
                edges = True
            decide_up_cell(here, stage, tuple(UP_SAMPLINGS))
        if edges:
            ENCODINGS["edge"].decide(ask.within("generator_cell"), self.more_operations)

    def _decide_discriminator(
        self, ask: Asker, batch_norm: bool | None, usual: bool = False, normalisation: str = "none"
    ) -> None:
        """Ask for the discriminator; also whether it has batch normalisation, where that is not known."""
        family = ask.structure("discriminator", DISCRIMINATORS, usual="convolutional")
        ask.structure("discriminator_activation", ACTIVATIONS, usual="leaky_relu")
        if batch_norm is None:
            batch_norm = ask.structure("discriminator_batch_norm", (False, True), usual=usual)
        if not batch_norm:
            ask.structure("discriminator_normalisation", SINGLE_IMAGE_NORMALISATIONS, usual=normalisation)
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
        ask.structure("down_sampling", DOWN_SAMPLINGS, usual="strided_convolution")
        ask.structure("discriminator_head", ("flatten", "sum"), usual="flatten")
        if family == "cells":
            ENCODINGS["edge"].decide(ask.within("discriminator_cell"), self.more_operations)

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """A search_spaces.gan.modules.Gan for images (N, *shape) in [0, 1].

        Raises:
            InvalidGenotype: it has a condition, and the space is not conditioned on any.
        """
        from search_spaces.gan.build import build_pair

        self.validate(genotype)
        if self._condition is None and genotype.content["condition"] != "none":
            raise InvalidGenotype("condition", "cannot be built before it is known what the data says of an image")
        return build_pair(genotype.content, shape, self._condition)

    # -- nas.core.supernet.SharesWeights: the supernet of both halves' edge cells, and of the generator's up-samplings

    def base(self, choose: Choose) -> Genotype:
        """A pair of edge cells, all of one width as AdversarialNAS's; see Relaxable.base."""
        genotype = super().base(choose)
        if name_nodes("generator_cell") not in genotype.content:
            raise InvalidGenotype("generator_stage0.block", "no block is 'edge', a supernet needs one")
        return genotype

    def relax(self, genotype: Genotype, shape: Shape, plan: SupernetPlan) -> nn.Module:
        """The supernet of a base, each half with log-weights of its own; see Relaxable.relax."""
        from search_spaces.gan.supernet import relax_pair

        return relax_pair(genotype.content, self.list_allowed(genotype), shape, self._condition, plan)

    def graphs(self, genotype: Genotype) -> dict[str, list[Link]]:
        """How its generator's cells take each other in, and the searched cells; see nas.core.space.Drawable."""
        content = genotype.content
        stages = content["generator_stages"] if content["generator"] == "cells" else 0
        return {**draw_stages(content, stages), **super().graphs(genotype)}

    def is_relaxed(self, choice: Choice) -> bool:
        """Whether it is a decision about a cell, or a cell's up-sampling."""
        return choice.site in UP_SITES or super().is_relaxed(choice)

    def derive_decisions(self, base: Genotype, alphas: Alphas, max_skips: int | None) -> tuple[dict[str, Value], int]:
        """Cells as in search_spaces.cells.derivation, of every up-sampling the strongest."""
        decided, skips = super().derive_decisions(base, alphas, max_skips)
        ups = {site: max(alphas[site], key=alphas[site].__getitem__) for site in UP_SITES if site in alphas}
        return decided | ups, skips

    def path(self, genotype: Genotype) -> Path:
        """The edges of both cells, and every up-sampling of the generator; see nas.core.supernet.SharesWeights."""
        content = genotype.content
        return {site: (content[site],) for site in UP_SITES if site in content} | dict(super().path(genotype))

    def canonical_form(self, genotype: Genotype) -> str:
        """Cells as what they compute, all other decisions as they are; see nas.core.space.Canonical."""
        content = canonicalise_cells(genotype.content, self.cells, ENCODINGS["edge"].edges)
        for half in HALVES:
            if content.get(f"{half}_stages") == 1:
                content.pop(f"{half}_growth")  # nothing grows
        return canonical_text(content)

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line: both halves, what they are told, how they are trained."""
        return describe_pair(genotype.content)


def draw_stages(content: Mapping[str, Value], stages: int) -> dict[str, list[Link]]:
    """A generator of cells as a graph: each doubles the size, and may take in the features of earlier ones."""
    links: list[Link] = []
    for stage in range(stages):
        before = f"cell {stage}" if stage else "noise"
        links.append((before, f"cell {stage + 1}", str(content[f"{name_stage(stage)}.up_sampling"])))
        taken = [earlier for earlier in range(stage) if content[f"{name_stage(stage)}.skip_in{earlier}"]]
        links += [(f"cell {earlier + 1}", f"cell {stage + 1}", "features taken in") for earlier in taken]
    return {"generator": [*links, (f"cell {stages}", "image", "")]} if links else {}


def decide_up_cell(ask: Asker, stage: int, up: tuple[str, ...]) -> None:
    """Ask for what AutoGAN decides of every cell but the order of its layers."""
    ask.structure("normalisation", ("none", "batch", "instance"), usual="batch")
    ask.operation("up_sampling", up, usual="nearest")
    ask.structure("shortcut", (False, True), usual=True)
    for earlier in range(stage):
        ask.structure(f"skip_in{earlier}", (False, True), usual=False)
