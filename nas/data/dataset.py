"""A data set, split once: images, vectors or sequences, in memory or mapped into it."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from nas.core.errors import UserError
from nas.core.picture_rule import USUAL_PICTURES, PictureRule
from nas.core.space import Condition, Shape
from nas.data.columns import Column
from nas.data.mapped import Reference, take_rows
from nas.data.pieces import slice_rows

Kind = Literal["image", "vector", "sequence"]
"""What an example is: an image (C, H, W), a vector (D,), or a sequence (C, T) of C channels and T steps."""

_KINDS: dict[int, Kind] = {4: "image", 2: "vector", 3: "sequence"}  # by the dimensions of many examples


@dataclass(frozen=True)
class Split:
    """One part of a data set.

    Attributes:
        examples: images (N, C, H, W), uint8 in [0, 255] or float32 in [0, 1], where C is 1 (grey), 3 (colour), 4 (with
            alpha) or 2 (shown as red and green); vectors (N, D) or sequences (N, C, T), float32 in any range. Of a
            table NaN is a value that is missing; of a missing word all numbers are. Where they are many they lie in a
            file (nas.data.mapped): of a part that is sent to another process, that of the file is sent.
        labels: (N,) int64, indices into the data set's classes, or None where it has none.
        vectors: (N, size) float32, what else is known of each example, such as the embedding of a sentence; or None.
        factors: (N, K) float64, what each example was made of, which codes are compared with; or None.
        labelled: (N,) bool, the examples whose labels a model may be trained with; None for all.
    """

    examples: Tensor
    labels: Tensor | None = None
    vectors: Tensor | None = None
    factors: Tensor | None = None
    labelled: Tensor | None = None

    def __len__(self) -> int:
        return int(self.examples.shape[0])

    @classmethod
    def from_arrays(cls, examples: np.ndarray, labels: np.ndarray | None = None) -> Split:
        """A part made of arrays with the shapes and types of its tensors."""
        numbers = None if labels is None else torch.from_numpy(np.asarray(labels, dtype=np.int64))
        return cls(torch.from_numpy(np.ascontiguousarray(examples)), numbers)

    @property
    def kind(self) -> Kind:
        """What its examples are, by their dimensions.

        Raises:
            UserError: they have one dimension, or five and more.
        """
        shape = tuple(self.examples.shape)
        if len(shape) not in _KINDS:
            raise UserError("data", shape, "images (N, C, H, W), vectors (N, D) or sequences (N, C, T)")
        return _KINDS[len(shape)]

    def take(self, places: Tensor | slice) -> Split:
        """The examples at `places`, a slice or indices (M,) int64, in their order."""
        return self._change(lambda tensor: tensor[places])

    def gather(self, places: Tensor) -> Split:
        """As `take`, for a part to be kept: the examples of a mapped one lie in a file again where they are many."""
        return self._change(lambda tensor: take_rows(tensor, places))

    def to(self, device: torch.device) -> Split:
        """This part on another device."""
        return self._change(lambda tensor: tensor.to(device))

    def _change(self, change: Callable[[Tensor], Tensor]) -> Split:
        besides = (self.labels, self.vectors, self.factors, self.labelled)
        return Split(change(self.examples), *(None if tensor is None else change(tensor) for tensor in besides))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "examples": Reference.of(self.examples) or self.examples}

    def __setstate__(self, state: dict[str, Any]) -> None:
        examples = state["examples"]
        self.__dict__.update(state, examples=examples.open() if isinstance(examples, Reference) else examples)

    @property
    def seen_labels(self) -> Tensor | None:
        """The labels (N,), -1 where a model may not be trained with one; None where there are none."""
        if self.labels is None or self.labelled is None:
            return self.labels
        return torch.where(self.labelled, self.labels, -1)


def as_float(examples: Tensor) -> Tensor:
    """Examples as float32: uint8 is divided by 255, so that it is in [0, 1], and float32 is given back as it is."""
    if examples.dtype != torch.uint8:
        return examples
    layout = torch.channels_last if examples.ndim == 4 else torch.preserve_format
    return examples.to(torch.float32, memory_format=layout).div_(255)


def batches(examples: Tensor) -> Iterator[slice]:
    """Slices of examples (N, ...), of at most 500 and about a million values: what scoring holds at once."""
    size = max(1, min(500, 2**20 // examples[:1].numel()))
    return (slice(start, start + size) for start in range(0, len(examples), size))


@dataclass(frozen=True)
class Dataset:
    """A data set, split once and seeded. The search sees `train` and `validation`, never `test`.

    Attributes:
        name: what the user called it: ``digits``, ``csv:faces.csv``.
        classes: the names of the labels; empty where there are none.
        notes: what was done to the examples on the way (images resized, files skipped), a sentence each.
        pictures: how picture files are read, so that they are like its images.
        columns: of vectors and sequences, what their numbers or channels are and how they were standardised; empty
            where the examples are as they came.
        normal: the names of the only labels in training and validation part, where the test part has others as well,
            which are anomalies; empty where all parts have all labels.
        validation_anomalies: where there are normal labels, examples with others that the test part has not either, as
            many as the validation part has at most: what is normal can be told from them while models are chosen.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: PictureRule = USUAL_PICTURES
    columns: tuple[Column, ...] = ()
    normal: tuple[str, ...] = ()
    validation_anomalies: Split | None = None

    @property
    def shape(self) -> Shape:
        """The shape of one example."""
        return tuple(self.train.examples.shape[1:])

    @property
    def kind(self) -> Kind:
        """What its examples are; see Split.kind."""
        return self.train.kind

    @functools.cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits of all examples, by which the data is recognised."""
        digest = hashlib.sha256()
        for part in (self.train, self.validation, self.test):
            digest.update(str(tuple(part.examples.shape)).encode())
            for rows in slice_rows(part.examples.shape):
                digest.update(part.examples[rows].contiguous().numpy().data)
        return digest.hexdigest()[:16]

    def find_normal(self, part: Split) -> Tensor:
        """Find which examples of a part are no anomalies, (N,) bool: all where nothing is known of that."""
        if not self.normal or part.labels is None:
            return torch.ones(len(part), dtype=torch.bool)
        return torch.isin(part.labels.cpu(), torch.tensor([self.classes.index(label) for label in self.normal]))

    @functools.cached_property
    def normal_test(self) -> Split:
        """The test part without its anomalies."""
        normal = self.find_normal(self.test)
        return self.test if normal.all() else self.test.gather(normal.nonzero().flatten())

    @functools.cached_property
    def test_anomalies(self) -> Split:
        """The anomalies of the test part."""
        return self.test.gather((~self.find_normal(self.test)).nonzero().flatten())

    @property
    def domains(self) -> tuple[Dataset, ...]:
        """The data sets it consists of: itself. See nas.data.pairs.DomainPair."""
        return (self,)

    @property
    def counts(self) -> str:
        """How many examples there are for what, in words."""
        return f"{len(self.train)} to train, {len(self.validation)} to validate, {len(self.test)} to test"

    @property
    def told(self) -> tuple[str, ...]:
        """What is known of each example: its label, its vector, both or nothing."""
        known = {"label": self.train.labels, "vector": self.train.vectors}
        return tuple(name for name, tensor in known.items() if tensor is not None)

    @property
    def condition(self) -> Condition | None:
        """What a conditional model may be told of an example: its vector, else its label, else nothing."""
        if self.train.vectors is not None:
            return Condition("vector", int(self.train.vectors.shape[1]))
        if self.train.labels is None:
            return None
        labelled = self.train.labelled
        return Condition("label", len(self.classes), 1.0 if labelled is None else float(labelled.float().mean()))
