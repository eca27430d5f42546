"""ONNX, with any batch size."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from nas.export.program import silence_exporter


def export_onnx(program: ExportedProgram, inputs: Sequence[str], outputs: Sequence[str], path: Path) -> None:
    """Write a program of torch.export to one file, with these names of its inputs and outputs."""
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
