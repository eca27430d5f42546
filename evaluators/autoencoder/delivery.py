"""What is handed over of a trained autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from evaluators.autoencoder.bounds import AutoencoderModel, count_noise
from nas.core.evaluator import Deliverable
from nas.data.cells import MISSING
from nas.data.columns import name_columns, to_json
from nas.data.dataset import Dataset, as_float

_EXAMPLES = 16  # inputs of a deliverable


def deliver_autoencoder(autoencoder: AutoencoderModel, data: Dataset) -> dict[str, Deliverable]:
    """Deliver an autoencoder, with the first 16 examples of the test part, and what else its family can do.

    Where codes of the prior can be drawn also the ``decoder``, with the prior; where codes are discrete the ``encoder``
    to indices and the ``index_decoder`` of these; where there is one the ``classifier``.

    Only of images these are parts of their own: else what they give means something with the columns alone.
    """
    shown = data.test.take(slice(_EXAMPLES))
    images, model = shown.examples, autoencoder.module
    labels = {"labels": shown.labels} if autoencoder.told and shown.labels is not None else {}
    settings: dict[str, Any] = {"discrete": True} if autoencoder.discrete else {}
    if model.classes:
        settings |= {"classes": data.classes} | ({"classifier": True} if autoencoder.finds_classes else {})
    if data.kind != "image":
        return {"autoencoder": _deliver_numbers(autoencoder, data, images, labels, settings)}
    parts = {}
    if autoencoder.samples_prior:
        settings |= _describe_sampling(autoencoder, images)
        layers = [autoencoder.make_sampler(), model.decoder, model.output]
        decoder = nn.Sequential(*(layer for layer in layers if layer is not None)).eval()
        noise = torch.randn((_EXAMPLES, settings["latent"]), generator=torch.Generator().manual_seed(0))
        told = settings | {"noise": "normal", "noise_scale": 1.0, "condition": "none"}
        parts["decoder"] = Deliverable(decoder, {"noise": noise}, ("images",), "generator", told)
    if autoencoder.finds_classes:
        parts["classifier"] = Deliverable(model.classifier, {"images": images}, ("logits",), "model")
    if autoencoder.discrete:
        encoder, decoder = model.split()
        with torch.no_grad():
            indices = encoder.eval()(as_float(images))
        parts["encoder"] = Deliverable(encoder, {"images": images}, ("indices",), "model")
        parts["index_decoder"] = Deliverable(decoder.eval(), {"indices": indices}, ("images",), "model")
    inputs, outputs = {"images": images, **labels}, ("reconstructions",)
    whole = Deliverable(model, inputs, outputs, "autoencoder", settings, data.pictures)
    return {"autoencoder": whole, **parts}


def _deliver_numbers(
    autoencoder: AutoencoderModel,
    data: Dataset,
    examples: Tensor,
    labels: Mapping[str, Tensor],
    settings: Mapping[str, Any],
) -> Deliverable:
    """Deliver an autoencoder of vectors or sequences, with what their columns or channels are."""
    columns = data.columns or name_columns(examples.shape[1])
    told = {"columns": to_json(columns), "missing": sorted(MISSING), **settings}
    if autoencoder.samples_prior:
        told |= _describe_sampling(autoencoder, examples)
    kind, program = ("vectors", "table") if examples.ndim == 2 else ("sequences", "sequence")
    inputs, outputs = {kind: examples, **labels}, ("reconstructions",)
    return Deliverable(autoencoder.module, inputs, outputs, f"{program}_autoencoder", told)


def _describe_sampling(autoencoder: AutoencoderModel, examples: Tensor) -> dict[str, Any]:
    """Describe to a program how codes of the prior are made: of how many numbers, and by what."""
    found = {"latent": count_noise(autoencoder, as_float(examples))}
    return found if autoencoder.make_sampler() is None else {**found, "sampler": True}
