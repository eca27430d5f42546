"""torchvision's data sets, downloaded once."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nas.core.errors import UserError
from nas.data.catalogue import TORCHVISION
from nas.data.dataset import Split
from nas.data.resizing import covering
from nas.data.sources import Source

_BY_SPLIT = ("svhn", "stl10")
_CELEBA_SIDE = 64


def load(name: str, directory: Path, image_size: int | None) -> Source:
    """The named set; celeba is resized on the way, since whole it would not fit into memory.

    Raises:
        UserError: it is not there and cannot be downloaded; says which files to put where.
    """
    import torchvision.datasets as sets

    entry = TORCHVISION[name]
    constructor = getattr(sets, entry.torchvision)
    parts: list[Split] = []
    classes: tuple[str, ...] = ()
    for training in (True, False):
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
                if name == "celeba" or name in _BY_SPLIT:
                    part = constructor(directory, split="train" if training else "test", download=True)
                else:
                    part = constructor(directory, train=training, download=True)
        except ModuleNotFoundError as error:  # celeba needs gdown
            raise UserError("--dataset", name, f"pip install {error.name}", why=f"needs {error.name}") from error
        except Exception as error:  # torchvision's readers raise anything, assertions too, at a damaged file
            why = " ".join(str(error).split())[:120] or type(error).__name__
            raise UserError(
                "--dataset", name, f"put {entry.files} in {directory}", why=f"cannot be downloaded or read ({why})"
            ) from error
        parts.append(_faces(part, image_size or _CELEBA_SIDE) if name == "celeba" else _split(part))
        classes = tuple(str(c) for c in getattr(part, "classes", classes))
    labels = parts[0].labels
    if labels is not None and not classes:  # svhn
        classes = tuple(str(label) for label in torch.unique(labels).tolist())
    notes = (f"faces were scaled and cropped to {image_size or _CELEBA_SIDE} pixels",) if name == "celeba" else ()
    if name == "stl10":
        notes = ("the labelled parts only: 5,000 to train and 8,000 to test",)
    return Source(parts[0], parts[1], classes, notes)


def _split(part: Any) -> Split:
    """The images of a set that holds them all in ``data``: (N, H, W), (N, H, W, 3) or (N, 3, H, W)."""
    data = part.data if isinstance(part.data, Tensor) else torch.from_numpy(np.ascontiguousarray(part.data))
    if data.ndim == 3:
        data = data[:, None]
    elif data.shape[-1] == 3:
        data = data.permute(0, 3, 1, 2).contiguous()
    labels = getattr(part, "targets", None)
    if labels is None:
        labels = part.labels
    return Split(data, torch.as_tensor(np.asarray(labels), dtype=torch.int64))


def _faces(part: Any, side: int) -> Split:
    images = torch.empty((len(part), 3, side, side), dtype=torch.uint8)
    for index in range(len(part)):
        picture = part[index][0].convert("RGB")
        images[index] = torch.from_numpy(np.array(covering(picture, side))).permute(2, 0, 1)
    return Split(images)
