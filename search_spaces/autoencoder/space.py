"""The decisions that make an autoencoder: family, network, cells, latent, and how it is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nas.core.genotype import Genotype, canonical_text
from nas.core.space import Shape, Value
from nas.core.supernet import SupernetPlan
from search_spaces.cells.canonical import canonicalise_cells
from search_spaces.cells.derivation import relax_edges
from search_spaces.cells.encodings import ENCODINGS
from search_spaces.choices import Asker
from search_spaces.operations.names import ACTIVATIONS, DOWN_SAMPLINGS, UP_SAMPLINGS, VECTOR_NORMALISATIONS
from search_spaces.weight_sharing import WeightSharingSpace

if TYPE_CHECKING:
    from torch import nn

FAMILIES = ("plain", "denoising", "variational")
LIKELIHOODS = ("gaussian", "continuous_bernoulli", "bernoulli")
NETWORKS = ("convolutional", "fully_connected")
# powers of two, and the sizes of MNIST's and CIFAR's images: an exactly complete code
LATENT = (2, 4, 8, 16, 32, 64, 128, 256, 512, 784, 1024, 2048, 3072, 4096)
STAGES = (1, 2, 3, 4)
WIDTHS = (8, 16, 24, 32, 48, 64)
HIDDEN_WIDTHS = (64, 128, 256, 512, 1024)


class AutoencoderSpace(WeightSharingSpace):
    """Autoencoders of images: plain, denoising or variational; fully connected or convolutional with cells.

    A convolutional encoder is a row of stages, each a down-sampling and then the encoder's cell; the decoder
    goes back, each stage a cell and then an up-sampling. A size is halved, rounded up, while both sides are at
    least 4, and what rounding added is cropped on the way back: every genotype serves every size of image.
    Cells are written in one of three encodings, which `cells` decides: see search_spaces.cells.

    In version 2 variational ones had a `loss` for a likelihood, `beta` from 1 on, and neither `capacity` nor
    `free_bits`.
    """

    name = "autoencoder"
    version = 3
    readable = (2,)
    task = "autoencoder"
    cells = ("encoder_cell", "decoder_cell")
    required: Mapping[str, Value] = {"network": "convolutional", "cells": "edge"}

    def decide(self, ask: Asker) -> None:
        """Ask for every choice."""
        family = self._decide_family(ask)
        ask.structure("latent", LATENT, ordered=True, usual=32)
        network = ask.structure("network", NETWORKS, usual="convolutional")
        ask.structure("stages", STAGES, ordered=True, usual=2)
        ask.structure("normalisation", VECTOR_NORMALISATIONS, usual="batch")
        ask.structure("activation", ACTIVATIONS, usual="silu")
        mirrored = ask.structure("decoder", ("mirrored", "searched"), usual="mirrored") == "mirrored"
        if network == "convolutional":
            ask.structure("width", WIDTHS, ordered=True, usual=32)
            ask.structure("width_growth", (1.0, 1.5, 2.0), ordered=True, usual=2.0)
            ask.structure("down_sampling", DOWN_SAMPLINGS, usual="strided_convolution")
            ask.structure("up_sampling", UP_SAMPLINGS, usual="transposed_convolution")
            ask.structure("head", ("direct", "convolution"), usual="direct")
            cells = ENCODINGS[ask.structure("cells", tuple(ENCODINGS), usual="edge")]
            cells.decide(ask.within("encoder_cell"), self.more_operations)
            if not mirrored:
                ask.structure("decoder_width", WIDTHS, ordered=True, usual=32)
                cells.decide(ask.within("decoder_cell"), self.more_operations)
        else:
            ask.structure("hidden_width", HIDDEN_WIDTHS, ordered=True, usual=512)
            if not mirrored:
                ask.structure("decoder_hidden_width", HIDDEN_WIDTHS, ordered=True, usual=512)
                ask.structure("decoder_stages", STAGES, ordered=True, usual=2)
        self._decide_training(ask, family)

    def _decide_family(self, ask: Asker) -> str:
        family = str(ask.structure("family", FAMILIES, usual="plain"))
        if family == "denoising":
            ask.hyperparameter("noise_variance", (0.003, 0.01, 0.03, 0.1, 0.3), ordered=True, usual=0.03)
        elif family == "variational":
            self._decide_divergence(ask)
        return family

    def _decide_divergence(self, ask: Asker) -> None:
        """What the divergence of codes costs: in proportion, or its distance from a capacity; in nats."""
        large, early = (1.0, 2.0, 4.0, 6.0, 8.0, 16.0), self.version < 3
        off = early or ask.hyperparameter("capacity", ("off", 5.0, 10.0, 25.0, 50.0), usual="off") == "off"
        if not off:
            ask.hyperparameter("gamma", (10.0, 30.0, 100.0, 300.0, 1000.0), ordered=True, usual=100.0)
            return
        ask.hyperparameter("beta", large if early else (0.1, 0.25, 0.5, *large), ordered=True, usual=1.0)
        ask.hyperparameter("kl_warm_up", (0.0, 0.1, 0.2), ordered=True, usual=0.1)
        if not early:
            ask.hyperparameter("free_bits", ("off", 0.05, 0.1, 0.25, 0.5), ordered=True, usual="off")

    def _decide_training(self, ask: Asker, family: str) -> None:
        if family == "variational" and self.version >= 3:
            linear = ask.hyperparameter("likelihood", LIKELIHOODS, usual="gaussian") == "gaussian"
        else:
            linear = ask.hyperparameter("loss", ("mse", "bce"), usual="mse") == "mse"
        if linear:
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

    def relax(self, genotype: Genotype, shape: Shape, plan: SupernetPlan) -> nn.Module:
        """The supernet of a base, mirrored cells with the same alphas; see Relaxable.relax."""
        from search_spaces.autoencoder.build import build
        from search_spaces.cells.supernet import MixedCell, list_choices
        from search_spaces.supernet import Architecture, drop_running_statistics

        allowed = self.list_allowed(genotype)
        edges = {cell: relax_edges(allowed, cell) for cell in self.list_cells(genotype)}
        architecture = Architecture(list_choices(edges, plan), plan)

        def build_mixed(cell: str, channels: int, norm: str, act: str) -> nn.Module:
            return MixedCell(cell, edges[cell], channels, norm, act, architecture, plan)

        model = drop_running_statistics(build(genotype.content, shape, build_mixed))
        model.architecture = architecture
        return model

    def canonical_form(self, genotype: Genotype) -> str:
        """Cells as what they compute, all other decisions as they are; see nas.core.space.Canonical."""
        content = dict(genotype.content)
        encoding = content.pop("cells", None)  # that a cell computes the same does not depend on how it was written
        if encoding is not None:
            content = canonicalise_cells(content, self.cells, ENCODINGS[encoding].edges)
        if content["stages"] == 1:
            content.pop("width_growth", None)  # nothing grows
        return canonical_text(content)

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line: family, network, latent and what that is to the image, layers, cells, training."""
        it = genotype.content
        family = it["family"]
        if family == "denoising":
            family += f" (sigma^2 {it['noise_variance']})"
        elif family == "variational":
            family += f" ({describe_divergence(it)})"
        parts = [
            f"{family} {it['network'].replace('_', ' ')}",
            f"latent {it['latent']} ({describe_completeness(it['latent'], shape)})",
        ]
        if it["network"] == "convolutional":
            growth = f" x{it['width_growth']:g} a stage" if it["width_growth"] != 1 else ""
            parts.append(f"{it['stages']} stages of width {it['width']}{growth}")
            parts.append(f"{it['down_sampling']} down, {it['up_sampling']} up".replace("_", " "))
            describe_cell = ENCODINGS[it["cells"]].describe
            encoding = "" if it["cells"] == "edge" else f"{it['cells']} "
            parts.append(f"{encoding}cell {describe_cell(it, 'encoder_cell')}")
            if it["decoder"] == "searched":
                cell = describe_cell(it, "decoder_cell")
                parts.append(f"decoder of width {it['decoder_width']}, cell {cell}")
        else:
            parts.append(f"{it['stages']} hidden layers of {it['hidden_width']}")
            if it["decoder"] == "searched":
                parts.append(f"decoder {it['decoder_stages']} of {it['decoder_hidden_width']}")
        parts.append(f"{it['normalisation']} norm, {it['activation']}".replace("none norm", "no norm"))
        loss = it.get("likelihood") or it["loss"]
        parts.append(f"{loss}, {it['optimiser']} {it['learning_rate']:g} {it['schedule']}, batch {it['batch_size']}")
        if it["augmentation"] != "none":
            parts.append(f"augmented by {it['augmentation']}s")
        text = "; ".join(parts).replace("one_cycle", "one-cycle").replace("leaky_relu", "leaky relu")
        return text.replace("continuous_bernoulli", "continuous Bernoulli")


def describe_divergence(content: Mapping[str, Any]) -> str:
    """What the divergence of a variational model's codes costs."""
    if content.get("capacity", "off") != "off":
        return f"capacity {content['capacity']:g} nats, gamma {content['gamma']:g}"
    free = content.get("free_bits", "off")
    return f"beta {content['beta']:g}" + ("" if free == "off" else f", {free:g} nats free in each latent")


def describe_completeness(latent: int, shape: Shape) -> str:
    """What a code of this size is to an image of this shape."""
    values = math.prod(shape)
    if latent == values:
        return "exactly complete"
    return "undercomplete" if latent < values else "overcomplete"
