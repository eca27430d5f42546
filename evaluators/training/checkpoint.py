"""Checkpoints: the tensors that a training continues from, and numbers as JSON, in one safetensors file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from evaluators.models import serialise_tensors
from nas.core.errors import UserError
from nas.core.job import TrainFinalist, TrainPortion, TrainRung
from nas.core.trial import Trial

if TYPE_CHECKING:
    from nas.data.dataset import Dataset
    from nas.data.pairs import DomainPair

State = tuple[Mapping[str, Tensor], Mapping[str, Any]]
"""The state of one part of a training: tensors by name, and values that fit into JSON."""

Identity = Mapping[str, str | int | float]
"""Everything that a training depends on; a checkpoint can only be continued by a training with the same identity."""


_EARLIER: Identity = {"precision": "fp32"}  # of checkpoints that do not say


class Part(Protocol):
    """One part of a training that changes from epoch to epoch."""

    def state(self) -> State:
        """Give everything to continue from."""

    def restore(self, state: State) -> None:
        """Continue from what `state` gave."""


def identify_training(
    evaluator: str, trial: Trial, epochs: int, data: Dataset | DomainPair, **further: str | int | float
) -> Identity:
    """Give the identity of a trial's training.

    Args:
        epochs: of the whole training, because learning rates depend on it.
        further: whatever else the training depends on.
    """
    return {
        "evaluator": evaluator,
        "genotype": trial.genotype.id,
        "seed": trial.seed,
        "epochs": epochs,
        "data": data.fingerprint,
        **further,
    }


def pack_checkpoint(training: Identity, parts: Mapping[str, Part]) -> bytes:
    """Make a checkpoint of the parts of a training, by their names."""
    states = {name: part.state() for name, part in parts.items()}
    tensors = {f"{part}.{name}": tensor for part, (own, _) in states.items() for name, tensor in own.items()}
    numbers = {part: dict(own) for part, (_, own) in states.items()}
    return serialise_tensors(tensors, {"training": json.dumps(dict(training)), "numbers": json.dumps(numbers)})


def unpack_checkpoint(checkpoint: bytes, training: Identity) -> dict[str, State]:
    """Read the states of the parts in a checkpoint.

    Raises:
        UserError: the checkpoint is damaged, or of another training than this.
    """
    try:
        tensors, metadata = load(checkpoint), read_metadata(checkpoint)
        found, numbers = _EARLIER | json.loads(metadata["training"]), json.loads(metadata["numbers"])
    except (SafetensorError, KeyError, ValueError, TypeError) as error:  # raised for damaged bytes
        why = f"is damaged ({' '.join(str(error).split())})"
        raise UserError("checkpoint", f"{len(checkpoint)} bytes", "a whole checkpoint", why=why) from None
    for name, own in training.items():
        if found.get(name) != own:
            why = "is of another training"
            raise UserError("checkpoint", f"{name} {found.get(name)}", f"{name} {own}", why=why)
    return {part: (select_prefix(tensors, part), numbers[part]) for part in numbers}


def load_states(trial: Trial, own: Identity, checkpoint: bytes | None) -> dict[str, State]:
    """Load the states that a trial's training continues from; none if the training is new.

    Args:
        own: the identity of the trial's training. A portion may continue a training with another seed and other
            hyperparameters.
        checkpoint: of the same training; None to use what the trial starts from.

    Raises:
        UserError: a checkpoint is damaged, of another training, or not of the epoch before the portion.
    """
    job = trial.job
    if checkpoint is not None:
        return unpack_checkpoint(checkpoint, own)
    if not isinstance(job, (TrainPortion, TrainFinalist, TrainRung)) or job.continues is None:
        return {}
    if trial.start is None:
        why = f"trial {trial.number} goes on with trial {job.continues}"
        raise UserError("checkpoint", None, "what that trial has left", why=why)
    kin = {name: value for name, value in own.items() if name not in ("genotype", "seed")}
    states = unpack_checkpoint(trial.start.tensors, kin)
    done = states["training"][1]["epochs_done"]
    before = job.epochs(int(own["epochs"])).start - 1 if isinstance(job, TrainPortion) else job.before
    if done != before:
        raise UserError("checkpoint", f"{done} epochs", f"{before} epochs", why="is of another portion")
    return states


def find_last_epoch(trial: Trial, epochs: int) -> int:
    """Find the epoch after which a trial's evaluation ends: the last of its portion, or of the whole training."""
    match trial.job:
        case TrainPortion():
            return trial.job.epochs(epochs).stop - 1
        case TrainFinalist(before=before, epochs=more) | TrainRung(before=before, epochs=more):
            return before + more
        case _:
            return epochs


def read_metadata(checkpoint: bytes) -> dict[str, str]:
    """Read the texts of a safetensors file: its first 8 bytes are the length of the JSON that follows."""
    length = int.from_bytes(checkpoint[:8], "little")
    metadata: dict[str, str] = json.loads(checkpoint[8 : 8 + length])["__metadata__"]
    return metadata


def select_prefix(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """Select the tensors whose names begin with `name` and a dot, and strip that prefix."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def copy_to_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Copy tensors to the CPU, so that further training does not change them."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


def flatten_optimiser_state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Give an optimiser's state as tensors, each named by the parameter's index and its own name in the state."""
    remembered = optimiser.state_dict()["state"].items()
    return {f"{index}.{name}": value for index, values in remembered for name, value in values.items()}


def load_optimiser_state(optimiser: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    """Load what `flatten_optimiser_state` gave into an optimiser, whose hyperparameters stay as they are."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        index, _, name = key.partition(".")
        parameter = parameters[int(index)]
        if value.shape == parameter.shape:  # fused kernels need the memory format of the weight
            value = torch.empty_like(parameter).copy_(value)
        state.setdefault(int(index), {})[name] = value.detach().clone()
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def bytes_to_tensor(data: bytes) -> Tensor:
    """Convert bytes to a tensor (N,) uint8."""
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def tensor_to_bytes(tensor: Tensor) -> bytes:
    """Convert a tensor (N,) uint8 to bytes."""
    return tensor.numpy().tobytes()
