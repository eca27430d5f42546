"""A data set of images, in memory, split once."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nas.core.space import Condition


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        examples: images (N, C, H, W), uint8 in [0, 255] or float32 in [0, 1]; C is 1 or 3.
        labels: (N,) int64, indices into the data set's classes, or None where it has none.
        vectors: (N, size) float32, what else is known of each image, such as the embedding of a sentence; or None.
    """

    examples: Tensor
    labels: Tensor | None = None
    vectors: Tensor | None = None

    def __len__(self) -> int:
        return int(self.examples.shape[0])

    def take(self, indices: Tensor) -> Split:
        """The part of this part that `indices`, (M,) int64, names, in their order."""
        return self._with(lambda tensor: tensor[indices])

    def chosen(self, places: slice) -> Split:
        """The part of this part at these places."""
        return self._with(lambda tensor: tensor[places])

    def to(self, device: torch.device) -> Split:
        """This part on another device."""
        return self._with(lambda tensor: tensor.to(device))

    def _with(self, change: Callable[[Tensor], Tensor]) -> Split:
        labels, vectors = (None if tensor is None else change(tensor) for tensor in (self.labels, self.vectors))
        return Split(change(self.examples), labels, vectors)


def as_float(images: Tensor) -> Tensor:
    """Images as float32 in [0, 1]: (N, C, H, W) uint8 is divided by 255, float32 is given back as it is."""
    return (
        images.to(torch.float32, memory_format=torch.channels_last).div_(255) if images.dtype == torch.uint8 else images
    )


def batches(images: Tensor) -> Iterator[slice]:
    """Slices of images (N, C, H, W), of at most 500 images and about a million values: what scoring holds at once."""
    size = max(1, min(500, 2**20 // images[:1].numel()))
    return (slice(start, start + size) for start in range(0, len(images), size))


@dataclass(frozen=True)
class Dataset:
    """A data set, split once and seeded. The search sees `train` and `validation`, never `test`.

    Attributes:
        name: what the user called it: ``digits``, ``csv:faces.csv``.
        classes: the names of the labels; empty where there are none.
        notes: what was done to the pictures on the way (the rule of resizing, skipped files), a sentence each.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        channels, height, width = self.train.examples.shape[1:]
        return int(channels), int(height), int(width)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of all images, by which the data is recognised."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            digest.update(str(tuple(part.examples.shape)).encode())
            digest.update(part.examples.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def kind(self) -> str:
        """What an example is: an image."""
        return "image"

    @property
    def domains(self) -> tuple[Dataset, ...]:
        """The sets of images it consists of: itself. See nas.data.pairs.DomainPair."""
        return (self,)

    @property
    def counts(self) -> str:
        """How many images there are for what, in words."""
        return f"{len(self.train)} to train, {len(self.validation)} to validate, {len(self.test)} to test"

    @property
    def condition(self) -> Condition | None:
        """What a conditional model may be told of an image: its vector, else its label, else nothing."""
        if self.train.vectors is not None:
            return Condition("vector", int(self.train.vectors.shape[1]))
        return Condition("label", len(self.classes)) if self.train.labels is not None else None
