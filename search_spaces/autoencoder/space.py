"""The decisions that make an autoencoder: family, network, cells, latent, and how it is trained."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Self

from nas.core.errors import InvalidGenotype
from nas.core.genotype import Genotype
from nas.core.space import Choice, Choose, Shape, Value
from nas.core.supernet import Alphas, Derived, Path, SupernetPlan
from search_spaces.cells.canonical import canonical_cell
from search_spaces.cells.derivation import derive_cell, path_of_cell, relaxed_edges
from search_spaces.cells.encodings import ENCODINGS
from search_spaces.choices import Asker, ChoiceSpace

if TYPE_CHECKING:
    from torch import nn

FAMILIES = ("plain", "denoising", "variational")
NETWORKS = ("convolutional", "fully_connected")
# powers of two, and the sizes of MNIST's and CIFAR's images: an exactly complete code
LATENT = (2, 4, 8, 16, 32, 64, 128, 256, 512, 784, 1024, 2048, 3072, 4096)
STAGES = (1, 2, 3, 4)
WIDTHS = (8, 16, 24, 32, 48, 64)
HIDDEN_WIDTHS = (64, 128, 256, 512, 1024)
DOWN = ("strided_convolution", "average", "max")
UP = ("transposed_convolution", "nearest", "bilinear", "pixel_shuffle")
NORMALISATIONS = ("none", "batch", "group", "layer")
ACTIVATIONS = ("relu", "leaky_relu", "elu", "gelu", "silu")


_RELAXABLE: dict[str, Value] = {"network": "convolutional", "cells": "edge"}


class AutoencoderSpace(ChoiceSpace):
    """Autoencoders of images: plain, denoising or variational; fully connected or convolutional with cells.

    A convolutional encoder is a row of stages, each a down-sampling and then the encoder's cell; the decoder
    goes back, each stage a cell and then an up-sampling. A size is halved, rounded up, while both sides are at
    least 4, and what rounding added is cropped on the way back: every genotype serves every size of image.
    Cells are written in one of three encodings, which `cells` decides: see search_spaces.cells.
    """

    name = "autoencoder"
    version = 2
    task = "autoencoder"

    def decide(self, ask: Asker) -> None:
        """Ask for every choice."""
        self._decide_family(ask)
        ask.structure("latent", LATENT, ordered=True, usual=32)
        network = ask.structure("network", NETWORKS, usual="convolutional")
        ask.structure("stages", STAGES, ordered=True, usual=2)
        ask.structure("normalisation", NORMALISATIONS, usual="batch")
        ask.structure("activation", ACTIVATIONS, usual="silu")
        mirrored = ask.structure("decoder", ("mirrored", "searched"), usual="mirrored") == "mirrored"
        if network == "convolutional":
            ask.structure("width", WIDTHS, ordered=True, usual=32)
            ask.structure("width_growth", (1.0, 1.5, 2.0), ordered=True, usual=2.0)
            ask.structure("down_sampling", DOWN, usual="strided_convolution")
            ask.structure("up_sampling", UP, usual="transposed_convolution")
            ask.structure("head", ("direct", "convolution"), usual="direct")
            cells = ENCODINGS[ask.structure("cells", tuple(ENCODINGS), usual="edge")]
            cells.decide(ask.within("encoder_cell"))
            if not mirrored:
                ask.structure("decoder_width", WIDTHS, ordered=True, usual=32)
                cells.decide(ask.within("decoder_cell"))
        else:
            ask.structure("hidden_width", HIDDEN_WIDTHS, ordered=True, usual=512)
            if not mirrored:
                ask.structure("decoder_hidden_width", HIDDEN_WIDTHS, ordered=True, usual=512)
                ask.structure("decoder_stages", STAGES, ordered=True, usual=2)
        self._decide_training(ask)

    def _decide_family(self, ask: Asker) -> None:
        family = ask.structure("family", FAMILIES, usual="plain")
        if family == "denoising":
            ask.hyperparameter("noise_variance", (0.003, 0.01, 0.03, 0.1, 0.3), ordered=True, usual=0.03)
        elif family == "variational":
            ask.hyperparameter("beta", (1.0, 2.0, 4.0, 6.0, 8.0, 16.0), ordered=True, usual=1.0)
            ask.hyperparameter("kl_warm_up", (0.0, 0.1, 0.2), ordered=True, usual=0.1)

    def _decide_training(self, ask: Asker) -> None:
        if ask.hyperparameter("loss", ("mse", "bce"), usual="mse") == "mse":
            ask.structure("output", ("sigmoid", "linear"), usual="sigmoid")
        ask.hyperparameter("optimiser", ("adam", "adamw", "nadam", "rmsprop", "muon"), usual="muon")
        ask.hyperparameter("learning_rate", (0.0002, 0.0005, 0.001, 0.002, 0.004, 0.008), ordered=True, usual=0.002)
        ask.hyperparameter("schedule", ("constant", "cosine", "one_cycle"), usual="one_cycle")
        ask.hyperparameter("batch_size", (16, 32, 64, 128, 256), ordered=True, usual=32)
        ask.hyperparameter("augmentation", ("none", "flip", "shift"), usual="none")
        ask.hyperparameter("weight_decay", (0.0, 0.00001, 0.0001, 0.001, 0.01), ordered=True, usual=0.0)

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """An Autoencoder or VariationalAutoencoder for images (N, *shape) in [0, 1]."""
        from search_spaces.autoencoder.build import build

        self.validate(genotype)
        return build(genotype.content, shape)

    # -- nas.core.supernet.SharesWeights: the supernet of the edge cells

    def base(self, choose: Choose) -> Genotype:
        """A convolutional genotype whose edge cells are as large as they may be; see Relaxable.base."""

        def answer(choice: Choice) -> Value:
            if choice.site.endswith("_cell.nodes"):
                return max(choice.values)
            needed = _RELAXABLE.get(choice.site)
            return needed if needed in choice.values else choose(choice)

        genotype = self.grow(answer)
        for site, needed in _RELAXABLE.items():
            if genotype.content.get(site, needed) != needed:
                raise InvalidGenotype(site, f"is {genotype.content[site]!r}, a supernet needs {needed!r}")
        if not any(len(values) > 1 and "_cell." in site for site, values in self._allowed(genotype).items()):
            raise InvalidGenotype("encoder_cell", "is decided in full, there is nothing to relax")
        return genotype

    def relax(self, genotype: Genotype, shape: Shape, plan: SupernetPlan) -> nn.Module:
        """The supernet of a base, mirrored cells with the same alphas; see Relaxable.relax."""
        from search_spaces.autoencoder.build import build
        from search_spaces.supernet import Architecture, MixedCell, choices_of, without_running_statistics

        allowed = self._allowed(genotype)
        edges = {cell: relaxed_edges(allowed, cell) for cell in _cells(genotype)}
        architecture = Architecture(choices_of(edges, plan), plan)

        def mixed(cell: str, channels: int, norm: str, act: str) -> nn.Module:
            return MixedCell(cell, edges[cell], channels, norm, act, architecture, plan)

        model = without_running_statistics(build(genotype.content, shape, mixed))
        model.architecture = architecture
        return model

    def derive(self, genotype: Genotype, alphas: Alphas, max_skips: int | None = None) -> Derived:
        """The base with the cells that the alphas stand for; see Relaxable.derive."""
        allowed = self._allowed(genotype)
        cells = [derive_cell(allowed, cell, alphas, max_skips) for cell in _cells(genotype)]
        decisions = {site: value for decided, _ in cells for site, value in decided.items()}
        derived = Genotype.of(self.name, self.version, {**genotype.content, **decisions})
        self.validate(derived)
        return Derived(derived, max(skips for _, skips in cells))

    def path(self, genotype: Genotype) -> Path:
        """The edges of its cells; see nas.core.supernet.SharesWeights."""
        edges = ENCODINGS["edge"].edges
        return {
            name: held
            for cell in _cells(genotype)
            for name, held in path_of_cell(edges(genotype.content, cell), cell).items()
        }

    def paths(self, base: Genotype) -> Self:
        """The cells' decisions are left open; see nas.core.supernet.SharesWeights."""
        return self.restrict(
            {site: (v,) for site, v in base.content.items() if "_cell." not in site}, "--weight-sharing"
        )

    def _allowed(self, genotype: Genotype) -> dict[str, tuple[Value, ...]]:
        """What each site of a base may be; the number of nodes stays."""
        allowed = {d.choice.site: d.choice.values for d in self.trace(genotype)}
        return allowed | {f"{cell}.nodes": (genotype.content[f"{cell}.nodes"],) for cell in _cells(genotype)}

    def canonical_form(self, genotype: Genotype) -> str:
        """Cells as what they compute, all other decisions as they are; see nas.core.space.Canonical."""
        content: dict[str, object] = {site: v for site, v in genotype.content.items() if "_cell." not in site}
        if content["stages"] == 1:
            content.pop("width_growth", None)  # nothing grows
        if "cells" in content:  # that a cell computes the same does not depend on how it was written
            edges = ENCODINGS[str(content.pop("cells"))].edges
            content["encoder_cell"] = canonical_cell(edges(genotype.content, "encoder_cell"))
            if content["decoder"] == "searched":
                content["decoder_cell"] = canonical_cell(edges(genotype.content, "decoder_cell"))
        return json.dumps(content, sort_keys=True)

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line: family, network, latent and what that is to the image, layers, cells, training."""
        it = genotype.content
        family = it["family"]
        if family == "denoising":
            family += f" (sigma^2 {it['noise_variance']})"
        elif family == "variational":
            family += f" (beta {it['beta']:g})"
        parts = [
            f"{family} {it['network'].replace('_', ' ')}",
            f"latent {it['latent']} ({completeness(it['latent'], shape)})",
        ]
        if it["network"] == "convolutional":
            growth = f" x{it['width_growth']:g} a stage" if it["width_growth"] != 1 else ""
            parts.append(f"{it['stages']} stages of width {it['width']}{growth}")
            parts.append(f"{it['down_sampling']} down, {it['up_sampling']} up".replace("_", " "))
            describe_cell = ENCODINGS[it["cells"]].describe
            parts.append(f"{it['cells']} cell {describe_cell(it, 'encoder_cell')}".removeprefix("edge "))
            if it["decoder"] == "searched":
                cell = describe_cell(it, "decoder_cell")
                parts.append(f"decoder of width {it['decoder_width']}, cell {cell}")
        else:
            parts.append(f"{it['stages']} hidden layers of {it['hidden_width']}")
            if it["decoder"] == "searched":
                parts.append(f"decoder {it['decoder_stages']} of {it['decoder_hidden_width']}")
        parts.append(f"{it['normalisation']} norm, {it['activation']}".replace("none norm", "no norm"))
        parts.append(
            f"{it['loss']}, {it['optimiser']} {it['learning_rate']:g} {it['schedule']}, batch {it['batch_size']}"
        )
        if it["augmentation"] != "none":
            parts.append(f"augmented by {it['augmentation']}s")
        return "; ".join(parts).replace("one_cycle", "one-cycle").replace("leaky_relu", "leaky relu")


def _cells(genotype: Genotype) -> list[str]:
    return [cell for cell in ("encoder_cell", "decoder_cell") if f"{cell}.nodes" in genotype.content]


def completeness(latent: int, shape: Shape) -> str:
    """What a code of this size is to an image of this shape."""
    values = math.prod(shape)
    if latent == values:
        return "exactly complete"
    return "undercomplete" if latent < values else "overcomplete"
