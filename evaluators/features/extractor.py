"""Feature extractors: fixed networks that describe images, trained once for a data set and kept.

Features of another network give other scores, even if only the seed of its training differs. So an extractor is
identified by the hash of its tensors, which is saved with the scores.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from evaluators.features.training import RECIPES, FeatureNetwork, Recipe, train_network
from nas.core.errors import UserError, unknown_name
from nas.core.space import Shape
from nas.data.catalogue import data_directory
from nas.data.dataset import Dataset, as_float, batches
from nas.data.pieces import slice_rows

KINDS = ("auto", "classifier", "self_supervised", "inception")
_IMAGES_A_CLASS = 5  # fewer, and a classifier learns the images rather than the classes

log = logging.getLogger(__name__)


class FeatureModel(Protocol):
    """A network that an extractor can use."""

    def __call__(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to features (N, D)."""

    def logits(self, features: Tensor) -> Tensor:
        """Map features (N, D) to logits (N, K)."""


@dataclass(frozen=True)
class FeatureExtractor:
    """A network that describes images.

    Attributes:
        name: what it is, in words.
        sha256: of its tensors; two extractors with the same give the same features.
        classes: the names of its logits; empty if it has none.
        accuracy: on the held-out part, of the labels or, without labels, of its own task; None for Inception.
        resize: how an image is resized before the first layer.
        shape: of the images that it takes; None if it takes any.
    """

    network: nn.Module
    name: str
    sha256: str
    device: torch.device
    classes: tuple[str, ...] = ()
    accuracy: float | None = None
    resize: str = "none"
    shape: Shape | None = None

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W), float32 in [0, 1] or uint8, to features (N, D) float32 on the extractor's device.

        Raises:
            ValueError: the images have another shape than the extractor takes.
        """
        if self.shape is not None and tuple(images.shape[1:]) != self.shape:
            raise ValueError(f"the extractor takes images of {self.shape}, not of {tuple(images.shape[1:])}")
        found = [self.network(as_float(images[part].to(self.device))) for part in batches(images)]
        return torch.cat(found).float()

    def logits(self, images: Tensor) -> Tensor | None:
        """Map images as for `features` to logits (N, K) over `classes`; None if there are none."""
        return self.classify(self.features(images)) if self.classes else None

    @torch.no_grad()
    def classify(self, features: Tensor) -> Tensor | None:
        """Map this extractor's features (N, D) to logits (N, K); None if there are no classes."""
        if not self.classes:
            return None
        network: Any = self.network
        logits: Tensor = network.logits(features.to(self.device, torch.float32))
        return logits


def load_extractor(
    data: Dataset, *, directory: Path | None = None, kind: str = "auto", device: str | torch.device = "cpu"
) -> FeatureExtractor:
    """Load the extractor of a data set from the directory, or train it on the training part and keep it there.

    ``classifier`` is a small network that predicts the labels, ``self_supervised`` one that recognises views of an
    image; ``auto`` is the first if there are labels worth predicting (two classes, five images a class). ``inception``
    is torchvision's Inception v3, for photographs only; it is not the network of published FIDs, whose weights and
    resizing differ. A damaged file is replaced, with a warning in the log.

    Args:
        directory: of kept extractors; None for the folder ``features`` beside downloaded data.

    Raises:
        UserError: an unknown kind, a classifier without labels, Inception where its weights are not to be had.
    """
    device = torch.device(device)
    if kind not in KINDS:
        raise unknown_name("--features", kind, KINDS)
    if kind == "inception":
        from evaluators.features.inception import load_inception

        photographs = load_inception().to(device)
        name = "torchvision Inception v3, ImageNet, 2048 features"
        resize = "bilinear to 299 x 299, antialiased"
        return FeatureExtractor(photographs, name, hash_tensors(photographs.state_dict()), device, resize=resize)
    present = _count_classes(data)
    if kind == "auto":
        kind = choose_kind(data)
    if kind == "classifier" and present < 2:
        why = f"{data.name} has no labels" if present == 0 else f"all images of {data.name} have one label"
        raise UserError("--features", kind, "auto, self_supervised, inception", why=why)
    recipe = RECIPES[kind]
    folder = data_directory(None) / "features" if directory is None else directory
    network, accuracy = _load_or_train(data, recipe, folder)
    return FeatureExtractor(
        network.to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        f"{kind.replace('_', '-')} network of the training part, {recipe.features} features",
        hash_tensors(network.state_dict()),
        device,
        classes=data.classes if kind == "classifier" else (),
        accuracy=accuracy,
        shape=data.shape,
    )


def choose_kind(data: Dataset) -> str:
    """Choose the kind of extractor that ``auto`` stands for."""
    worth_predicting = 2 <= _count_classes(data) <= len(data.train) // _IMAGES_A_CLASS
    return "classifier" if worth_predicting else "self_supervised"


def _count_classes(data: Dataset) -> int:
    return 0 if data.train.labels is None else len(torch.unique(data.train.labels))


def hash_tensors(tensors: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 of the tensors' names, types, shapes and values, in hexadecimal digits."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        for rows in slice_rows(tensor.shape) if tensor.ndim else [...]:  # in pieces: a copy might not fit into memory
            digest.update(tensor.detach()[rows].cpu().contiguous().numpy().data)
    return digest.hexdigest()


def _load_or_train(data: Dataset, recipe: Recipe, folder: Path) -> tuple[FeatureNetwork, float]:
    tensors = {"images": data.train.examples}
    if recipe.kind == "classifier":
        assert data.train.labels is not None
        tensors["labels"] = data.train.labels
    made_of = {"data": hash_tensors(tensors), "classes": len(data.classes), "recipe": recipe.as_dict()}
    key = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:20]
    path = folder / f"{recipe.kind}-{key}.safetensors"
    writable = _make_folder(folder)
    with (
        FileLock(f"{path}.lock") if writable else nullcontext()
    ):  # so that two processes do not train the same extractor
        kept = _read(path, made_of, data, recipe)
        if kept is not None:
            return kept
        network, accuracy = train_network(recipe, data.train, data.validation, len(data.classes))
        if writable:
            _write(path, network, made_of, accuracy)
    return network, accuracy


def _make_folder(folder: Path) -> bool:
    """Make the folder, and say whether files can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        log.warning("the feature extractor is not kept: %s", error)
        return False
    if not os.access(folder, os.W_OK):
        log.warning("the feature extractor is not kept: %s cannot be written to", folder)
        return False
    return True


def _write(path: Path, network: FeatureNetwork, made_of: Mapping[str, Any], accuracy: float) -> None:
    tensors = {
        name: value.detach().clone(memory_format=torch.contiguous_format)
        for name, value in network.state_dict().items()
    }
    about = {**made_of, "accuracy": accuracy, "sha256": hash_tensors(tensors)}
    _replace(path, save(tensors))
    _replace(path.with_suffix(".json"), json.dumps(about, indent=1).encode())  # last: without it nothing is read


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


def _read(path: Path, made_of: Mapping[str, Any], data: Dataset, recipe: Recipe) -> tuple[FeatureNetwork, float] | None:
    """Read a kept network and its accuracy; None if there is none or its file is damaged."""
    about_path = path.with_suffix(".json")
    if not (path.exists() and about_path.exists()):
        return None
    try:
        about = json.loads(about_path.read_text(encoding="utf-8"))
        tensors = load(path.read_bytes())
        if about["sha256"] != hash_tensors(tensors) or {name: about[name] for name in made_of} != made_of:
            raise ValueError("its content is not what was written")
        accuracy = float(about["accuracy"])
        with torch.random.fork_rng(devices=[]):
            network = FeatureNetwork(data.shape, tensors["head.bias"].shape[0])
        network.load_state_dict(tensors)
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError) as error:
        log.warning("the feature extractor %s is damaged and is made anew: %s", path, " ".join(str(error).split()))
        return None
    return network.eval().requires_grad_(False), accuracy
