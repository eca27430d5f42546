"""Run an exported autoencoder, without nas: as PyTorch source, in ONNX Runtime, as a program of torch.export.

python examples/use_export.py runs/NAME/best
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import onnxruntime
import torch
from safetensors.torch import load_file


def run_source(folder: Path, examples: torch.Tensor) -> torch.Tensor:
    """Import model.py, which needs torch and safetensors alone, and call the network as any torch module."""
    spec = importlib.util.spec_from_file_location("exported_model", folder / "model.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.load()
    with torch.no_grad():
        return network(examples)


def run_onnx(folder: Path, examples: torch.Tensor) -> torch.Tensor:
    """Run model.onnx, without PyTorch; the number of examples is free."""
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return torch.from_numpy(session.run(None, {name: examples.numpy()})[0])


def run_program(folder: Path, examples: torch.Tensor) -> torch.Tensor:
    """Run model.pt2, without the Python source."""
    with torch.no_grad():
        return torch.export.load(folder / "model.pt2").module()(examples)


def main(path: str) -> None:
    """Reconstruct the examples that an export keeps in each way, and compare."""
    folder = Path(path)
    kept = next(iter(load_file(folder / "samples.safetensors").values()))
    examples = kept.float() / 255 if kept.dtype == torch.uint8 else kept  # pictures are kept as bytes
    wanted = run_source(folder, examples)
    print(f"model.py: {tuple(examples.shape)} to {tuple(wanted.shape)}")
    for name, run in (("model.onnx", run_onnx), ("model.pt2", run_program)):
        print(f"{name}: differs from model.py by {(run(folder, examples) - wanted).abs().max().item():.1g} at most")


if __name__ == "__main__":
    main(sys.argv[1])
