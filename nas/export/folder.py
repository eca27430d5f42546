"""The exported folder: written, verified, and moved into place whole."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib.util
import io
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import save_file
from torch import Tensor

from nas.core.errors import ExportMismatch, UserError, unknown_name
from nas.core.evaluator import Deliverable
from nas.core.imports import require_packages
from nas.export import FORMATS, ONNX_PACKAGES
from nas.export.card import Card, escape_docstring, make_environment, render_card
from nas.export.onnx import export_onnx, load_onnx
from nas.export.program import capture_program, load_program, save_program
from nas.export.python_source import check_names, print_source

_Model = Callable[[Mapping[str, Tensor]], Tensor | tuple[Tensor, ...]]
"""An exported model, as a function of its inputs by name."""
_TOLERANCE = 1e-4
_SAMPLES = 16
PRODUCTS = {
    "autoencoder": "reconstructions.png",
    "generator": "samples.png",
    "sequence_autoencoder": "reconstructions.npy",
    "table_autoencoder": "reconstructions.csv",
    "translator": "translations.png",
}
"""The file that a program writes when it is run, by the program's name; others write none.

What it writes beside it has the same name, and an ending that some other program's file has."""
_WRITTEN = {
    "model.py", "weights.safetensors", "samples.safetensors", "model.onnx", "model.pt2", "README.md",
    "__pycache__", *PRODUCTS.values(),
}  # fmt: skip
"""What an export consists of; a folder that holds anything else is not replaced."""


def export_model(part: Deliverable, directory: Path, *, card: Card, formats: Sequence[str] = FORMATS) -> None:
    """Write a part of a model to `directory` and check each format against it; nothing is left where one differs.

    Up to 16 of its examples are kept. The weights and the card are always written.

    Args:
        formats: of ``python``, ``onnx`` and ``program``.

    Raises:
        UserError: no examples, an unknown format, one whose packages are missing, or a directory that holds something
            other than an earlier export.
        NotExportable: the model has a module that cannot be printed.
        ExportMismatch: a format's outputs differ from the model's by more than 1e-4 of their scale.
    """
    for name in formats:
        if name not in FORMATS:
            raise unknown_name("--format", name, FORMATS)
    if "onnx" in formats:
        require_packages("--format", "onnx", ONNX_PACKAGES, " ".join(ONNX_PACKAGES), "python, program")
    if not all(len(values) for values in part.inputs.values()):
        raise UserError("samples", tuple(part.inputs), "one example or more", why="holds none")
    directory = directory.resolve()  # "." has no name to rename, and a link's target is what is replaced
    if directory.exists() and not _is_replaceable(directory):
        raise UserError("--output", str(directory), "a new folder, or an earlier export", why="holds something else")
    model = copy.deepcopy(part.module).cpu().to(memory_format=torch.contiguous_format).eval()
    inputs = {name: values[:_SAMPLES].cpu().contiguous() for name, values in part.inputs.items()}
    part = replace(part, module=model, inputs=inputs)
    directory.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f".{directory.name}."))
    try:
        folder.chmod(0o755)
        with torch.random.fork_rng(devices=[]):  # the printed model draws new weights before it loads the kept ones
            _write(part, folder, card, formats)
            _verify(part, _convert_to_float(inputs), folder, formats)
        _move(folder, directory)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_replaceable(directory: Path) -> bool:
    return directory.is_dir() and (
        not any(directory.iterdir())
        or (
            all((directory / name).is_file() for name in ("weights.safetensors", "README.md", "samples.safetensors"))
            and all(entry.name in _WRITTEN for entry in directory.iterdir())
        )
    )


def _write(part: Deliverable, folder: Path, card: Card, formats: Sequence[str]) -> None:
    model = part.module
    source = print_source(model)
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "weights.safetensors", metadata={"format": "pt"})
    save_file(dict(part.inputs), folder / "samples.safetensors")
    # a batch of one would be taken as fixed
    batch = {name: _repeat_single(values, 2) for name, values in _convert_to_float(part.inputs).items()}
    text = make_environment().get_template(f"{part.program}.py.jinja").render(
        title=escape_docstring(card.title),
        description=escape_docstring(card.description),
        shape=card.shape,
        source=source,
        settings=part.settings,
        pictures=part.pictures,
        inputs=tuple(part.inputs),
        outputs=part.outputs,
    )  # fmt: skip
    check_names(text)
    (folder / "model.py").write_text(text, encoding="utf-8", errors="replace")
    if part.program in PRODUCTS:
        _run_file(folder / "model.py", folder / PRODUCTS[part.program])
    if "python" not in formats:
        (folder / "model.py").unlink()
    capture = functools.cache(lambda: capture_program(model, batch))  # once at most
    if "program" in formats:
        save_program(capture(), folder / "model.pt2")
    if "onnx" in formats:
        export_onnx(model, batch, part.outputs, folder / "model.onnx", capture)
    (folder / "README.md").write_text(render_card(card, formats, part), encoding="utf-8", errors="replace")
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors makes its files for the owner alone


def _run_file(path: Path, product: Path) -> None:
    """Run the file as its user will; what it writes is kept.

    Raises:
        ExportMismatch: it does not end well.
    """
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        code = _import_file(path).main(["--output", str(product)])
    if code:
        raise ExportMismatch(f"{path.name}: ends with exit code {code}: {said.getvalue().strip()}")


def _verify(part: Deliverable, inputs: Mapping[str, Tensor], folder: Path, formats: Sequence[str]) -> None:
    loaders: dict[str, tuple[str, Callable[[Path], _Model]]] = {
        "python": ("model.py", _load_python),
        "onnx": ("model.onnx", load_onnx),
        "program": ("model.pt2", load_program),
    }
    one = {name: values[:1] for name, values in inputs.items()}
    several = {name: _repeat_single(values, 3) for name, values in inputs.items()}
    for name in formats:
        file, load = loaders[name]
        run = load(folder / file)
        for batch in (one, several):
            with torch.no_grad():
                outputs = [_as_tuple(given) for given in (part.module(*batch.values()), run(batch))]
            if {len(given) for given in outputs} != {len(part.outputs)}:
                counts, names = " and ".join(str(len(given)) for given in outputs), ", ".join(part.outputs)
                raise ExportMismatch(f"{file}: the model and it give {counts} outputs; their names are {names}")
            for wanted, found in zip(*outputs, strict=True):
                _check_equal(file, wanted, found)


def _as_tuple(given: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (given,) if isinstance(given, Tensor) else tuple(given)


def _check_equal(file: str, wanted: Tensor, found: Tensor) -> None:
    scale = max(1.0, float(wanted.abs().max()))
    difference = float((wanted - found).abs().max()) if wanted.shape == found.shape else float("inf")
    if not difference <= _TOLERANCE * scale:
        raise ExportMismatch(
            f"{file}: its outputs differ from the trained model's by {difference:.2g} in a batch of "
            f"{len(wanted)} (allowed: {_TOLERANCE * scale:.2g})"
        )


def _repeat_single(values: Tensor, count: int) -> Tensor:
    """The examples themselves, or the only one repeated."""
    return values if len(values) > 1 else values.repeat(count, *[1] * (values.dim() - 1))


def _import_file(path: Path) -> ModuleType:
    """The file as a module of its own, which nothing else will find."""
    spec = importlib.util.spec_from_file_location(f"exported_{uuid.uuid4().hex}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)
    return module


def _load_python(path: Path) -> _Model:
    model = _import_file(path).load()
    return lambda inputs: model(*inputs.values())


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


def _convert_to_float(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: values.float() / 255 if values.dtype == torch.uint8 else values for name, values in inputs.items()}
