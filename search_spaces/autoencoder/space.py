"""The decisions that make an autoencoder: family, network, cells, latent, and how it is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from nas.core.errors import InvalidGenotype, UserError
from nas.core.genotype import Genotype, canonical_text
from nas.core.space import Condition, Shape, Value
from nas.core.supernet import SupernetPlan
from search_spaces.autoencoder.families import (
    FAMILIES,
    LIKELIHOODS,
    Family,
    describe_family,
    find_dimension,
    list_families,
)
from search_spaces.autoencoder.networks import (
    choose_usual_latent,
    describe_completeness,
    find_network,
    list_latents,
    name_activation,
)
from search_spaces.cells.canonical import canonicalise_cells
from search_spaces.cells.derivation import relax_edges
from search_spaces.cells.encodings import ENCODINGS
from search_spaces.choices import Asker
from search_spaces.weight_sharing import WeightSharingSpace

if TYPE_CHECKING:
    from torch import nn

_AUGMENTED = {
    "none": "nothing",
    "flip": "flips",
    "shift": "shifts",
    "shift_half": "shifts of half of the images",
    "flip_shift_half": "flips, and shifts of half of the images",
}


class AutoencoderSpace(WeightSharingSpace):
    """Autoencoders of images, vectors or sequences, of several families; fully connected, convolutional or recurrent.

    A convolutional encoder is a row of stages, each a down-sampling and then the encoder's cell; the decoder
    goes back, each stage a cell and then an up-sampling. A size is halved, rounded up, while both sides are at
    least 4, and what rounding added is cropped on the way back: every genotype serves every size of image.
    Cells are written in one of three encodings, which `cells` decides: see search_spaces.cells.

    For vectors (rows of a table) there are fully connected layers, residual and gated ones; without any hidden layer an
    autoencoder is linear. For sequences (signals) cells and samplings are those of images, of one dimension, and there
    are recurrent layers. Before it is `shaped` the space is that of images.

    Families that know classes need data with labels, all or some. Which are offered is known once the space is
    `conditioned` on the data; before, all are, and these cannot be built.

    In version 5 there was no VAE-GAN, no flow, no likelihood of 8 bits, no augmentation of half of the images and no
    decay of 0.1; fully connected layers had the activations of convolutional ones; and what Burda et al. (2016) chose
    (codes of 50, layers of 200, tanh, batches of 20) was only near. In version 4 there were no ladders and no families
    that know classes. In version 3 sizes of codes did not depend on the data, noise was Gaussian, all priors N(0, 1),
    and there were plain, denoising and variational ones alone. In version 2 variational ones had a `loss` for a
    likelihood, `beta` from 1 on, and neither `capacity` nor `free_bits`.
    """

    name = "autoencoder"
    version = 6
    readable = (2, 3, 4, 5)
    prefers_usual = 4
    renamed: Mapping[str, str] = {"hidden_activation": "activation"}
    regularisers = ("augmentation", "weight_decay")
    task = "autoencoder"
    data_kinds = ("image", "vector", "sequence")
    cells = ("encoder_cell", "decoder_cell")
    required: Mapping[str, Value] = {"network": "convolutional", "cells": "edge"}

    def __init__(self) -> None:
        super().__init__()
        self._families = tuple(FAMILIES)  # those that the data are enough for

    def conditioned(self, condition: Condition | None) -> Self:
        """The same space with families that these data are enough for; see nas.core.space.Conditionable.

        Raises:
            UserError: restrictions leave none of them.
        """
        labelled = condition is not None and condition.kind == "label"
        share = condition.share if condition is not None and labelled else 0.0
        enough = tuple(name for name, family in FAMILIES.items() if family.labels <= share)
        asked = self._restrictions.get("family", enough)
        if not {*asked} & {*enough}:
            why = "the data has no labels" if not share else f"no more than {share:.0%} of the labels may be seen"
            raise UserError("family", ", ".join(map(str, asked)), ", ".join(enough), why=why)
        space = super().conditioned(condition)
        space._families = enough
        return space

    def decide(self, ask: Asker) -> None:
        """Ask for every choice."""
        network = find_network(self.shape)
        families = [name for name in list_families(self.version, self.shape) if name in self._families]
        family = str(ask.structure("family", families, usual="plain"))
        FAMILIES[family].decide(ask, self.version)
        if self.shape is None or len(self.shape) > 1:
            FAMILIES[family].decide_patches(ask)
        latents = list_latents(self.shape, self.version)
        ask.structure("latent", latents, ordered=True, usual=choose_usual_latent(latents, self.shape))
        network.decide(ask, self.version, self.more_operations)
        self._decide_training(ask, FAMILIES[family], network.bounded)

    def _decide_training(self, ask: Asker, family: Family, bounded: bool) -> None:
        variational = family.variational
        if bounded and family.likelihood:
            if variational and self.version >= 3:
                likelihoods = LIKELIHOODS if self.version >= 6 else LIKELIHOODS[:-1]
                likelihood = ask.hyperparameter("likelihood", likelihoods, usual="gaussian")
                linear = likelihood == "gaussian"
                if likelihood == "discretised_logistic":
                    ask.structure("logistic_components", (1, 5, 10), ordered=True, usual=5)
            else:
                linear = ask.hyperparameter("loss", ("mse", "bce"), usual="mse") == "mse"
            if linear:
                ask.structure("output", ("sigmoid", "linear"), usual="sigmoid")
        # Muon's steps are as large however noisy a gradient is, and those of codes that are drawn are noisy
        usual = "adam" if variational and self.version >= 4 else "muon"
        optimiser = ask.hyperparameter("optimiser", ("adam", "adamw", "nadam", "rmsprop", "muon"), usual=usual)
        rate = 0.004 if optimiser == "muon" and self.version >= 4 else 0.002
        ask.hyperparameter("learning_rate", (0.0002, 0.0005, 0.001, 0.002, 0.004, 0.008), ordered=True, usual=rate)
        ask.hyperparameter("schedule", ("constant", "cosine", "one_cycle"), usual="one_cycle")
        sizes = (16, 32, 64, 128, 256) if self.version < 6 else (16, 20, 32, 64, 128, 256)
        ask.hyperparameter("batch_size", sizes, ordered=True, usual=32 if bounded else 128)
        if bounded:
            kinds = tuple(_AUGMENTED) if self.version >= 6 else ("none", "flip", "shift")
            ask.hyperparameter("augmentation", kinds, usual="none")
        decays = (0.0, 0.00001, 0.0001, 0.001, 0.01, 0.1)
        ask.hyperparameter("weight_decay", decays if self.version >= 6 else decays[:-1], ordered=True, usual=0.0)

    def build(self, genotype: Genotype, shape: Shape) -> nn.Module:
        """A search_spaces.autoencoder.modules.Autoencoder for examples (N, *shape); images are in [0, 1].

        Raises:
            InvalidGenotype: it is of a family that knows classes, and the space is not conditioned on any.
        """
        from search_spaces.autoencoder.build import build

        self.validate(genotype)
        return build(genotype.content, shape, classes=self._count_classes(genotype))

    def _count_classes(self, genotype: Genotype) -> int:
        if not FAMILIES[genotype.content["family"]].labels:
            return 0
        if self.condition is None:
            raise InvalidGenotype("family", "cannot be built before it is known which classes the data has")
        return self.condition.size

    def relax(self, genotype: Genotype, shape: Shape, plan: SupernetPlan) -> nn.Module:
        """The supernet of a base, mirrored cells with the same alphas; see Relaxable.relax."""
        from search_spaces.autoencoder.build import build
        from search_spaces.cells.supernet import MixedCell, list_choices
        from search_spaces.supernet import Architecture, drop_running_statistics

        allowed = self.list_allowed(genotype)
        edges = {cell: relax_edges(allowed, cell) for cell in self.list_cells(genotype)}
        architecture = Architecture(list_choices(edges, plan), plan)

        def build_mixed(cell: str, channels: int, norm: str, act: str) -> nn.Module:
            return MixedCell(cell, edges[cell], channels, norm, act, architecture, plan, len(shape) - 1)

        classes = self._count_classes(genotype)
        model = drop_running_statistics(build(genotype.content, shape, build_mixed, classes))
        model.architecture = architecture
        return model

    def canonical_form(self, genotype: Genotype) -> str:
        """Cells as what they compute, all other decisions as they are; see nas.core.space.Canonical."""
        content = dict(genotype.content)
        encoding = content.pop("cells", None)  # that a cell computes the same does not depend on how it was written
        if encoding is not None:
            content = canonicalise_cells(content, self.cells, ENCODINGS[encoding].edges)
        if content.get("stages", 0) <= 1:
            content.pop("width_growth", None)  # nothing grows
        if "code_dimension" in content:
            content["code_dimension"] = find_dimension(content)
        return canonical_text(content)

    def describe(self, genotype: Genotype, shape: Shape) -> str:
        """One line: family, network, latent and what that is to an example, layers, cells, training."""
        it = genotype.content
        parts = [f"{describe_family(it)} {it.get('network', '').replace('_', ' ')}".strip()]
        parts.append(f"latent {it['latent']} ({describe_completeness(it['latent'], shape)})")
        parts += find_network(shape).describe(it)
        if "normalisation" in it:
            parts.append(f"{it['normalisation']} norm, {name_activation(it)}".replace("none norm", "no norm"))
        loss = it.get("likelihood") or it.get("loss", "")
        if "logistic_components" in it:
            loss = f"mixture of {it['logistic_components']} discretised logistics"
        training = f"{it['optimiser']} {it['learning_rate']:g} {it['schedule']}, batch {it['batch_size']}"
        parts.append(f"{loss}, {training}" if loss else training)
        if it.get("augmentation", "none") != "none":
            parts.append(f"augmented by {_AUGMENTED[it['augmentation']]}")
        text = "; ".join(parts).replace("one_cycle", "one-cycle").replace("leaky_relu", "leaky relu")
        return text.replace("continuous_bernoulli", "continuous Bernoulli")
