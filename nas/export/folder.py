"""The exported folder: written, verified, and moved into place whole."""

from __future__ import annotations

import copy
import importlib.util
import shutil
import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nas.core.errors import ExportMismatch, UserError, unknown_name
from nas.export import FORMATS
from nas.export.card import Card, environment, render_card
from nas.export.onnx import export_onnx, run_onnx
from nas.export.program import export_program, run_program
from nas.export.python_source import check_names, python_source

_TOLERANCE = 1e-4
_SAMPLES = 16
_WRITTEN = {
    "model.py", "weights.safetensors", "samples.safetensors", "model.onnx", "model.pt2", "README.md",
    "reconstructions.png", "__pycache__",
}  # fmt: skip
"""What an export consists of; a folder that holds anything else is not replaced."""


def export_model(
    model: nn.Module,
    samples: Tensor,
    directory: Path,
    *,
    card: Card,
    formats: Sequence[str] = FORMATS,
    program: str = "autoencoder",
) -> None:
    """Write `model` to `directory` and check each format against it; nothing is left where one differs.

    Args:
        samples: images (N >= 1, C, H, W), uint8 or float32 in [0, 1], of which up to 16 are kept.
        formats: of ``python``, ``onnx`` and ``program``; the weights and the card are always written.
        program: the template of ``model.py``: what the file does when it is run.

    Raises:
        UserError: no samples, an unknown format, or a directory that holds something other than an earlier export.
        NotExportable: the model has a module that cannot be printed.
        ExportMismatch: a format's outputs differ from the model's by more than 1e-4 of their scale.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("--format", name, FORMATS)
    if not len(samples):
        raise UserError("samples", tuple(samples.shape), "one image or more", why="holds none")
    directory = directory.resolve()  # "." has no name to rename, and a link's target is what is replaced
    if directory.exists() and not _replaceable(directory):
        raise UserError("--output", str(directory), "a new folder, or an earlier export", why="holds something else")
    model = copy.deepcopy(model).cpu().to(memory_format=torch.contiguous_format).eval()
    samples = samples[:_SAMPLES].cpu().contiguous()
    directory.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}."))
    try:
        folder.chmod(0o755)
        with torch.random.fork_rng(devices=[]):  # the printed model draws new weights before it loads the kept ones
            _write(model, samples, folder, card, formats, program)
            _verify(model, _as_float(samples), folder, formats)
        _move(folder, directory)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replaceable(directory: Path) -> bool:
    return directory.is_dir() and (
        not any(directory.iterdir())
        or (
            all((directory / name).is_file() for name in ("weights.safetensors", "README.md", "samples.safetensors"))
            and all(entry.name in _WRITTEN for entry in directory.iterdir())
        )
    )


def _write(model: nn.Module, samples: Tensor, folder: Path, card: Card, formats: Sequence[str], program: str) -> None:
    source = python_source(model)
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "weights.safetensors", metadata={"format": "pt"})
    save_file({"images": samples}, folder / "samples.safetensors")
    images = _as_float(samples)
    batch = images if len(images) > 1 else images.repeat(2, 1, 1, 1)  # a batch of one would be taken as fixed
    text = environment().get_template(f"{program}.py.jinja").render(
        title=_in_docstring(card.title),
        description=_in_docstring(card.description),
        shape=card.shape,
        source=source,
    )  # fmt: skip
    check_names(text)
    (folder / "model.py").write_text(text, encoding="utf-8", errors="replace")
    with torch.no_grad():
        _imported(folder / "model.py").draw(images, model(images), folder / "reconstructions.png")
    if "python" not in formats:
        (folder / "model.py").unlink()
    if "onnx" in formats:
        export_onnx(model, batch, folder / "model.onnx")
    if "program" in formats:
        export_program(model, batch, folder / "model.pt2")
    (folder / "README.md").write_text(render_card(card, formats), encoding="utf-8", errors="replace")
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors makes its files for the owner alone


def _verify(model: nn.Module, images: Tensor, folder: Path, formats: Sequence[str]) -> None:
    runs: dict[str, tuple[str, Callable[[Path, Tensor], Tensor]]] = {
        "python": ("model.py", _run_python),
        "onnx": ("model.onnx", run_onnx),
        "program": ("model.pt2", run_program),
    }
    several = images if len(images) > 1 else images.repeat(3, 1, 1, 1)
    for name in formats:
        file, run = runs[name]
        for batch in (images[:1], several):
            with torch.no_grad():
                wanted, found = model(batch), run(folder / file, batch)
            scale = max(1.0, float(wanted.abs().max()))
            difference = float((wanted - found).abs().max()) if wanted.shape == found.shape else float("inf")
            if not difference <= _TOLERANCE * scale:
                raise ExportMismatch(
                    f"{file}: its outputs differ from the trained model's by {difference:.2g} in a batch of "
                    f"{len(batch)} (allowed: {_TOLERANCE * scale:.2g})"
                )


def _imported(path: Path) -> ModuleType:
    """The file as a module of its own, which nothing else will find."""
    spec = importlib.util.spec_from_file_location(f"exported_{uuid.uuid4().hex}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
    return module


def _run_python(path: Path, images: Tensor) -> Tensor:
    result: Tensor = _imported(path).load()(images)
    return result


def _move(folder: Path, directory: Path) -> None:
    """Put the folder in place; an earlier export steps aside first and is then deleted."""
    aside = directory.with_name(f".{directory.name}.{uuid.uuid4().hex[:8]}")
    if directory.exists():
        directory.rename(aside)
    try:
        folder.rename(directory)
    except OSError:
        if aside.exists():
            aside.rename(directory)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _as_float(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images


def _in_docstring(text: str) -> str:
    """A text that cannot end the docstring it stands in."""
    text = text.encode(errors="replace").decode()  # file names may hold surrogates
    return " ".join(text.split()).replace("\\", "\\\\").replace('"', "'")
