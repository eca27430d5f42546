"""torchvision's data sets, downloaded once."""

from __future__ import annotations

import contextlib
import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.core.errors import UserError
from nas.data.resizing import crop_and_resize
from nas.data.source import Request, Source, UnsplitData

if TYPE_CHECKING:
    from nas.data.dataset import Split

_PICTURE_SIDE = 64


@dataclass(frozen=True)
class TorchvisionSet:
    """How one of torchvision's data sets is read.

    Attributes:
        class_name: torchvision's class.
        by_split: its parts are asked for by ``split="train"`` and not by ``train=True``.
        labels: the attribute that holds the labels; None where there are none, and pictures are read one by one.
        names_classes: the class has the attribute ``classes``.
        notes: what a user should know of it, a sentence each.
    """

    class_name: str
    by_split: bool = False
    labels: str | None = "targets"
    names_classes: bool = True
    notes: tuple[str, ...] = ()


def _load(known: TorchvisionSet, downloads: str, request: Request) -> UnsplitData:
    """Both parts of a set.

    Raises:
        UserError: it is not there and cannot be downloaded; says which files to put where.
    """
    import torchvision.datasets

    constructor = getattr(torchvision.datasets, known.class_name)
    sets = []
    for word in ("train", "test"):
        which = {"split": word} if known.by_split else {"train": word == "train"}
        try:
            request.directory.mkdir(parents=True, exist_ok=True)
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                sets.append(constructor(request.directory, **which, download=True))
        except ModuleNotFoundError as error:  # celeba needs gdown
            raise UserError(
                "--dataset", request.name, f"pip install {error.name}", why=f"needs {error.name}"
            ) from error
        except Exception as error:  # torchvision's readers raise anything, assertions too, at a damaged file
            why = " ".join(str(error).split())[:120] or type(error).__name__
            allowed = f"put {downloads} in {request.directory}"
            raise UserError("--dataset", request.name, allowed, why=f"cannot be downloaded or read ({why})") from error
    if known.labels is None:
        size = request.reading.size or (_PICTURE_SIDE, _PICTURE_SIDE)
        pool, test = (_read_pictures(part, size, request.directory) for part in sets)
        return UnsplitData(pool, test, notes=(f"faces were scaled and cropped to {size[0]} x {size[1]} pixels",))
    labels = [np.asarray(getattr(part, known.labels), dtype=np.int64) for part in sets]
    pool, test = (_read_arrays(part.data, of_part) for part, of_part in zip(sets, labels, strict=True))
    names = sets[-1].classes if known.names_classes else np.unique(labels[0])
    return UnsplitData(pool, test, tuple(str(name) for name in names), known.notes)


def _read_arrays(data: Any, labels: np.ndarray) -> Split:
    """The images of a set that holds them all: (N, H, W), (N, H, W, 3) or (N, 3, H, W)."""
    from nas.data.dataset import Split

    images = np.asarray(data)
    if images.ndim == 3:
        images = images.reshape(len(images), 1, *images.shape[1:])
    elif images.shape[-1] == 3:
        images = images.transpose(0, 3, 1, 2)
    return Split.from_arrays(images, labels)


def _read_pictures(part: Any, size: tuple[int, int], directory: Path) -> Split:
    """The pictures of a set that would not fit into memory whole, resized one by one."""
    import torch

    from nas.data.dataset import Split
    from nas.data.mapped import allocate

    images = allocate((len(part), 3, *size), torch.uint8, directory)
    for index in range(len(part)):
        picture = np.array(crop_and_resize(part[index][0].convert("RGB"), size))
        images[index] = torch.from_numpy(picture.transpose(2, 0, 1))
    return Split(images)


def _source(name: str, about: str, known: TorchvisionSet, downloads: str) -> Source:
    sized = "" if known.labels else f" Its pictures are read as {_PICTURE_SIDE} x {_PICTURE_SIDE}."
    details = f"Read by torchvision.{sized}"
    return Source(name, about, functools.partial(_load, known, downloads), details=details, downloads=downloads)


_GZIPPED = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz into {}/raw"
)
_STL10 = TorchvisionSet(
    "STL10", by_split=True, labels="labels", notes=("the labelled parts only: 5,000 to train and 8,000 to test",)
)
SOURCES = (
    _source("mnist", "70,000 handwritten digits, 28x28 grey, 10 classes", TorchvisionSet("MNIST"),
            _GZIPPED.format("MNIST")),
    _source("fashion-mnist", "70,000 pictures of clothes, 28x28 grey, 10 classes", TorchvisionSet("FashionMNIST"),
            _GZIPPED.format("FashionMNIST")),
    _source("kmnist", "70,000 Japanese cursive letters, 28x28 grey, 10 classes", TorchvisionSet("KMNIST"),
            _GZIPPED.format("KMNIST")),
    _source("cifar10", "60,000 photographs, 32x32 colour, 10 classes", TorchvisionSet("CIFAR10"),
            "cifar-10-python.tar.gz"),
    _source("cifar100", "60,000 photographs, 32x32 colour, 100 classes", TorchvisionSet("CIFAR100"),
            "cifar-100-python.tar.gz"),
    _source("svhn", "99,289 house numbers, 32x32 colour, 10 classes",
            TorchvisionSet("SVHN", by_split=True, labels="labels", names_classes=False),
            "train_32x32.mat and test_32x32.mat"),
    _source("stl10", "13,000 labelled photographs, 96x96 colour, 10 classes", _STL10, "stl10_binary.tar.gz"),
    _source("celeba", "202,599 faces, resized to 64x64 colour, no classes",
            TorchvisionSet("CelebA", by_split=True, labels=None),
            "img_align_celeba.zip, list_attr_celeba.txt, identity_CelebA.txt, list_bbox_celeba.txt, "
            "list_landmarks_align_celeba.txt and list_eval_partition.txt into celeba"),
)  # fmt: skip
