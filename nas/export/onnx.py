"""ONNX, with any batch size."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from nas.export.program import silence_exporter

log = logging.getLogger(__name__)


def export_onnx(
    model: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    path: Path,
    capture: Callable[[], ExportedProgram],
) -> None:
    """Write a model to one file, with these names of its inputs, (N >= 2, ...) each, and of its outputs.

    PyTorch's exporter of programs first compiles all operations that it knows, which takes as long as all else of a
    short search; its older one of traces does not. A trace holds what Python has decided for these inputs. So it is
    given up where Python decides anything, and what is written of it is kept only if it gives what the model gives for
    each number of examples. Otherwise, and where a version of PyTorch has no such exporter any more, the program is
    written.

    Args:
        capture: gives the model's program.
    """
    try:
        _export_trace(model, inputs, outputs, path)
        why = "" if _agrees(model, inputs, path) else "it gives something else for another number of examples"
    except Exception as error:  # noqa: BLE001 - whatever ails a trace, there is the other exporter
        why = f"{type(error).__name__}: {error}"
    if why:
        log.debug("the trace cannot be exported: %s", why)
        _export_program(capture(), tuple(inputs), outputs, path)


def _export_trace(model: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], path: Path) -> None:
    with silence_exporter():
        decides: type[Warning] = torch.jit.TracerWarning  # type: ignore[attr-defined]
        warnings.simplefilter("error", decides)
        torch.onnx.export(
            model,
            tuple(inputs.values()),
            f=str(path),
            input_names=tuple(inputs),
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (*inputs, *outputs)},
            dynamo=False,
        )


def _agrees(model: nn.Module, inputs: Mapping[str, Tensor], path: Path) -> bool:
    """Whether the file gives what the model gives for the first one, two, three and so on of the examples."""
    run = load_onnx(path)
    for count in range(1, 1 + len(next(iter(inputs.values())))):
        few = {name: values[:count] for name, values in inputs.items()}
        with torch.no_grad():
            wanted = model(*few.values())
        wanted, found = (wanted,) if isinstance(wanted, Tensor) else wanted, run(few)
        if [each.shape for each in wanted] != [each.shape for each in found]:
            return False
        if not all(torch.allclose(one, other, rtol=1e-4, atol=1e-5) for one, other in zip(wanted, found, strict=True)):
            return False
    return True


def _export_program(program: ExportedProgram, inputs: Sequence[str], outputs: Sequence[str], path: Path) -> None:
    with silence_exporter():
        torch.onnx.export(
            program,
            f=str(path),
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=tuple({0: "batch"} for _ in inputs),  # only the name: the program knows what varies
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def load_onnx(path: Path) -> Callable[[Mapping[str, Tensor]], tuple[Tensor, ...]]:
    """Load the file as a function of its inputs, which onnxruntime runs on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(inputs: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        results = session.run(None, {name: values.numpy() for name, values in inputs.items()})
        return tuple(torch.from_numpy(result) for result in results)

    return run
