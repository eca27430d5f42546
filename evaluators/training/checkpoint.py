"""What a training is continued from: tensors, and what fits into JSON beside them, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from evaluators.networks import as_safetensors
from nas.core.errors import UserError
from nas.core.job import TrainFinalist, TrainPortion
from nas.core.trial import Trial

if TYPE_CHECKING:
    from nas.data.dataset import Dataset
    from nas.data.pairs import DomainPair

State = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""Of one part of a training: tensors by name, and what fits into JSON."""

Identity = Mapping[str, str | int | float]
"""What a checkpoint is of: nothing else can be continued from it."""


class Part(Protocol):
    """One part of a training that changes from epoch to epoch."""

    def state(self) -> State:
        """Everything to continue from."""

    def restore(self, state: State) -> None:
        """Go on from what `state` gave."""


def identity(
    evaluator: str, trial: Trial, epochs: int, data: Dataset | DomainPair, **further: str | int | float
) -> Identity:
    """That of the training of a trial's genotype, and whatever else it depends on.

    Args:
        epochs: of the whole training, since learning rates depend on their number.
    """
    return {
        "evaluator": evaluator,
        "genotype": trial.genotype.id,
        "seed": trial.seed,
        "epochs": epochs,
        "data": data.fingerprint,
        **further,
    }


def packed(training: Identity, parts: Mapping[str, Part]) -> bytes:
    """A checkpoint of the parts of a training, by their names."""
    states = {name: part.state() for name, part in parts.items()}
    tensors = {f"{part}.{name}": tensor for part, (own, _) in states.items() for name, tensor in own.items()}
    numbers = {part: dict(own) for part, (_, own) in states.items()}
    return as_safetensors(tensors, {"training": json.dumps(dict(training)), "numbers": json.dumps(numbers)})


def unpacked(checkpoint: bytes, training: Identity) -> dict[str, State]:
    """The states of the parts in a checkpoint.

    Raises:
        UserError: it is damaged, or of another training than this.
    """
    try:
        tensors, metadata = load(checkpoint), metadata_of(checkpoint)
        found, numbers = json.loads(metadata["training"]), json.loads(metadata["numbers"])
    except (SafetensorError, KeyError, ValueError, TypeError) as error:  # what they say to other bytes
        why = f"is damaged ({' '.join(str(error).split())})"
        raise UserError("checkpoint", f"{len(checkpoint)} bytes", "a whole checkpoint", why=why) from None
    for name, own in training.items():
        if found.get(name) != own:
            why = "is of another training"
            raise UserError("checkpoint", f"{name} {found.get(name)}", f"{name} {own}", why=why)
    return {part: (under(tensors, part), numbers[part]) for part in numbers}


def going_on(trial: Trial, own: Identity, checkpoint: bytes | None) -> dict[str, State]:
    """The states that a trial's training goes on from; nothing where it begins.

    Args:
        own: the identity of the trial's training; a portion goes on with one of another seed and other
            hyperparameters.
        checkpoint: of this very training; None to look at what the trial starts from.

    Raises:
        UserError: a checkpoint is damaged, of another training, or of another epoch than the portion goes on with.
    """
    job = trial.job
    if checkpoint is not None:
        return unpacked(checkpoint, own)
    if not isinstance(job, (TrainPortion, TrainFinalist)) or job.continues is None:
        return {}
    if trial.start is None:
        why = f"trial {trial.number} goes on with trial {job.continues}"
        raise UserError("checkpoint", None, "what that trial has left", why=why)
    kin = {name: value for name, value in own.items() if name not in ("genotype", "seed")}
    states = unpacked(trial.start.tensors, kin)
    done = states["training"][1]["epochs_done"]
    before = job.before if isinstance(job, TrainFinalist) else job.epochs(int(own["epochs"])).start - 1
    if done != before:
        raise UserError("checkpoint", f"{done} epochs", f"{before} epochs", why="is of another portion")
    return states


def last_epoch(trial: Trial, epochs: int) -> int:
    """The epoch after which a trial's evaluation ends: that of its portion, or of the whole training."""
    match trial.job:
        case TrainPortion():
            return trial.job.epochs(epochs).stop - 1
        case TrainFinalist(before=before, epochs=more):
            return before + more
        case _:
            return epochs


def metadata_of(checkpoint: bytes) -> dict[str, str]:
    """What safetensors keeps beside the tensors: 8 bytes say how long the JSON is that begins the file."""
    length = int.from_bytes(checkpoint[:8], "little")
    metadata: dict[str, str] = json.loads(checkpoint[8 : 8 + length])["__metadata__"]
    return metadata


def under(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors whose names begin with this one and a dot, without it."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors on the CPU, each with memory of its own: training on does not change them."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def moments_of(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Everything that an optimiser remembers of its steps, by the number of the parameter and a name of its own."""
    remembered = optimiser.state_dict()["state"].items()
    return {f"{index}.{name}": value for index, values in remembered for name, value in values.items()}


def restore_moments(optimiser: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    """Let the optimiser remember what `moments_of` gave; its hyperparameters stay as they are."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        index, _, name = key.partition(".")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:  # laid out in memory as its weight is: fused kernels walk both alike
            value = torch.empty_like(parameter).copy_(value)
        state.setdefault(int(index), {})[name] = value.detach().clone()
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def as_tensor(data: bytes) -> Tensor:
    """Bytes as a tensor (N,) uint8."""
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def as_bytes(tensor: Tensor) -> bytes:
    """The inverse of `as_tensor`."""
    return tensor.numpy().tobytes()
