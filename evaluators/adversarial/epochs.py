"""The course of an adversarial training: epochs, each looked at, of which the best is kept, with checkpoints."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from evaluators.adversarial.snapshots import Snapshot, Snapshots
from evaluators.metrics.cost import PeakMemory, Spent
from evaluators.networks import as_safetensors
from evaluators.pictures import Film, picture_of_rows
from evaluators.training.checkpoint import Identity, Part, going_on, last_epoch, packed
from evaluators.training.growth import Growth
from evaluators.training.moving_average import MovingAverage
from nas.core.errors import Collapsed, Diverged
from nas.core.evaluator import CHECKPOINT, WEIGHTS
from nas.core.job import TrainPortion
from nas.core.trial import Measurement, Trial


class Training(Part, Protocol):
    """What is trained, an epoch at a time."""

    average: MovingAverage
    epochs: int
    epochs_done: int


@dataclass(frozen=True)
class Look:
    """What is found of a model after an epoch.

    Attributes:
        scores: by name, ``fid`` among them.
        rows: of images, for the picture.
        tensors: the model's, by name, the averages in place of what they follow.
        texts: what is kept beside the tensors.
    """

    scores: Mapping[str, float]
    rows: list[Tensor]
    tensors: Mapping[str, Tensor]
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Begun:
    """A training that has begun.

    Attributes:
        epoch: trains the next.
        look: at what is there now.
        cost: metrics that stay as they are.
        growth: of what is trained, if it grows.
    """

    training: Training
    epoch: Callable[[], None]
    look: Callable[[], Look]
    memory: PeakMemory
    cost: Mapping[str, float]
    growth: Growth | None = None


def course(
    trial: Trial,
    begin: Callable[[], Begun],
    snapshots: Snapshots,
    own: Identity,
    *,
    picture: str,
    protocol: Mapping[str, str | int | float],
    usual: int,
    checkpoint: bytes | None,
    every: int | None,
) -> Iterator[Measurement]:
    """One measurement after every epoch, of the snapshot that is kept; the last brings its weights as well.

    A portion of a training brings them too, unless they count as collapsed, and a checkpoint.

    Args:
        trial: whose training it is.
        own: what a checkpoint must be of.
        picture: the name of that of the snapshot.
        protocol: what the scores depend on.
        usual: how many epochs it takes to tell a collapsed one, for whoever asked for fewer.
        checkpoint: what to go on from; None from the beginning.
        every: so many epochs a checkpoint is brought; None for never, in a search.

    Raises:
        Diverged: a score is not finite.
        Collapsed: the training is over, or a portion of it that others of `usual` epochs reach as well, and the kept
            snapshot counts as collapsed.
        UserError: the checkpoint is damaged, or of another training.
    """
    kept = going_on(trial, own, checkpoint)
    spent = Spent()
    with spent:
        begun = begin()
    training = begun.training
    last = last_epoch(trial, training.epochs)
    film = Film(None if every is None else training.epochs)
    parts: dict[str, Part] = {"training": training, "snapshots": snapshots, "film": film, "spent": spent}
    for name, state in kept.items():
        parts[name].restore(state)
    while not snapshots.ended and training.epochs_done < last:
        epoch = training.epochs_done + 1
        with spent:
            begun.epoch()
            found = begun.look()
            for name, value in found.scores.items():
                if not math.isfinite(value):
                    raise Diverged(f"{name} is {value} after epoch {epoch}")
            film.add(epoch, found.rows)
            growth = begun.growth
            tensors = as_safetensors(found.tensors, found.texts)
            snapshots.add(
                Snapshot(epoch, found.scores, picture_of_rows(found.rows), tensors),
                growing=growth is not None and growth.stage(epoch) < growth.stages,
            )
            best = snapshots.best
            artifacts = {picture: best.picture, "protocol.json": _as_json(protocol)}
            over = snapshots.ended or epoch == last
            if over:
                artifacts["training.gif"] = film.picture()
                if snapshots.collapsed is None:
                    artifacts[WEIGHTS] = best.tensors
        rest = {"epoch_fid": found.scores["fid"], "kept_epoch": float(best.epoch)}
        rest |= {**begun.cost, **spent.metrics(begun.memory)}
        if growth is not None:
            rest |= growth.metrics(epoch)
        portion = isinstance(trial.job, TrainPortion)
        if (every is not None and epoch % every == 0) or (over and (portion or every is not None)):
            artifacts[CHECKPOINT] = packed(own, parts)
        yield Measurement(epoch, {**best.scores, **rest}, artifacts)
    old_enough = snapshots.ended or training.epochs_done >= usual
    if old_enough and (collapsed := snapshots.collapsed) is not None:
        young = f"; it may be too young to tell: {usual} epochs are usual" if training.epochs < usual else ""
        updates, epochs = training.average.updates, training.epochs_done
        raise Collapsed(f"{collapsed}, after {updates} updates in {epochs} epochs{young}")


def _as_json(values: Mapping[str, str | int | float]) -> bytes:
    return json.dumps(dict(values), indent=2, sort_keys=True).encode()
