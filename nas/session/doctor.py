"""``nas doctor``: whether everything that a search needs is here and works, and how to mend what does not."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.imports import find_missing_packages
from nas.core.process import count_cores
from nas.data.catalogue import data_directory
from nas.export import ONNX_PACKAGES
from nas.session.device import count_cards
from nas.session.start import start_run

State = Literal["ok", "note", "wrong"]

_NEEDED = ("torch", "torchvision", "numpy", "optuna", "deap", "safetensors")
_OPTIONAL = {
    "ray": ("--executor ray and --workers", "'ray[default,tune]'"),
    **dict.fromkeys(ONNX_PACKAGES, ("model.onnx", " ".join(ONNX_PACKAGES))),
    "optuna-dashboard": ("nas dashboard", "optuna-dashboard"),
    "pyarrow": ("parquet:PATH", "'nas-generative[parquet]'"),
    "soundfile": ("recordings other than PCM", "'nas-generative[audio]'"),
}
"""What each is for, and what pip is to install."""
_LEAST_SPACE = 2 * 2**30
"""Bytes: of a run of GANs with all weights."""


@dataclass(frozen=True)
class Finding:
    """What a check has found.

    Attributes:
        check: what was looked at, in a word or two.
        state: ``wrong`` stops a search or a part of it; a ``note`` does not.
        detail: what was found.
        remedy: how it is mended; empty where nothing is wrong.
    """

    check: str
    state: State
    detail: str
    remedy: str = ""


def examine_installation(runs_dir: Path, *, quick: bool = False) -> Iterator[Finding]:
    """Check one thing after another, the quick ones first.

    Args:
        runs_dir: where runs would be kept.
        quick: leave out what takes more than a few seconds: trainings and Ray.
    """
    yield Finding("Python", "ok", f"{sys.version.split()[0]} on {sys.platform}")
    yield from _check_packages()
    yield from _check_devices()
    yield _check_threads()
    yield _check_folder("runs", runs_dir, "--runs-dir names another folder")
    yield _check_folder("data", data_directory(None), "NAS_DATA_DIR or --data-dir names another folder")
    if quick:
        return
    for device in _list_devices():
        yield _attempt(f"a tiny search on {device}", _train, device)
    if not find_missing_packages(["ray"]):
        yield _attempt("Ray", _train_by_ray)


def _check_packages() -> Iterator[Finding]:
    for name in _NEEDED:
        try:
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "wrong", "is not installed", f"pip install {name}")
    try:
        import torchvision.ops
    except (ImportError, RuntimeError) as error:  # of another version of torch: its operators are not found
        remedy = "pip install --upgrade torch torchvision, together, so that they fit each other"
        yield Finding("torchvision", "wrong", f"cannot be imported: {error}", remedy)
    else:
        del torchvision
    for name, (use, package) in _OPTIONAL.items():
        if find_missing_packages([name.replace("-", "_")]):
            yield Finding(name, "note", f"is not installed; it is for {use}", f"pip install {package}")
        else:
            yield Finding(name, "ok", importlib.metadata.version(name))


def _list_devices() -> list[str]:
    import torch

    return [
        "cpu",
        *(f"cuda:{card}" for card in range(count_cards())),
        *(["mps"] if torch.backends.mps.is_available() else []),
    ]


def _check_devices() -> Iterator[Finding]:
    import torch

    for device in _list_devices():
        if device.startswith("cuda"):
            found = torch.cuda.get_device_properties(device)
            lower = "with" if torch.cuda.is_bf16_supported(including_emulation=False) else "without"
            yield Finding(device, "ok", f"{found.name}, {found.total_memory / 2**30:.0f} GiB, {lower} bfloat16")
        elif device == "mps":
            yield Finding(device, "ok", "Apple GPU")
    if len(_list_devices()) == 1:
        built = "for CUDA" if torch.version.cuda else "for CPUs alone"
        card = shutil.which("nvidia-smi") is not None
        remedy = "pip install a torch built for CUDA, and a driver that fits it" if card else ""
        detail = f"none that PyTorch finds; torch is built {built}"
        yield Finding("graphics card", "wrong" if card else "note", detail, remedy)


def _check_threads() -> Finding:
    import torch

    cores, threads = count_cores(), torch.get_num_threads()
    detail = f"{cores} cores, PyTorch uses {threads} threads"
    if threads > cores:
        return Finding("threads", "wrong", detail, f"OMP_NUM_THREADS is {os.environ.get('OMP_NUM_THREADS')}: unset it")
    return Finding("threads", "ok", detail)


def _check_folder(what: str, folder: Path, remedy: str) -> Finding:
    """Check that a folder, or the nearest above that there is, can be written to and has space."""
    check = f"folder of {what}"
    there = next((one for one in (folder, *folder.absolute().parents) if one.exists()), Path("/"))
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        return Finding(check, "wrong", f"{folder} cannot be written to: {error.strerror}", remedy)
    free = shutil.disk_usage(there).free
    detail = f"{folder}, {free / 2**30:.0f} GiB free"
    return Finding(check, "ok", detail) if free >= _LEAST_SPACE else Finding(check, "note", detail, remedy)


def _attempt(check: str, act: Callable[..., str], *arguments: str) -> Finding:
    """Do what a search does, and report what it says, or why it could not."""
    began = time.monotonic()
    try:
        detail = act(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the user wants to know
        message = " ".join(str(error).split())[:300] or type(error).__name__
        remedy = "" if isinstance(error, UserError) else "please report it with this line"
        return Finding(check, "wrong", message, remedy)
    return Finding(check, "ok", f"{detail}, {time.monotonic() - began:.1f} s")


def _train(device: str, **options: Any) -> str:
    """Train two tiny candidates, and export the better one in every format, which compares the formats' outputs.

    Raises:
        RuntimeError: a candidate failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = {
            "dataset": "digits", "train_size": 100, "trials": 2, "epochs": 1, "finalists": 0, "device": device,
            "restrict": {"width": [8], "stages": [1]}, "pin": {"family": "plain"}, "runs_dir": Path(folder), **options,
        }  # fmt: skip
        run = start_run(RunConfig.checked(given))
        reasons = [trial.outcome.reason for trial in run.trials if trial.outcome is not None and trial.outcome.failed]
        if reasons:
            raise RuntimeError(f"a candidate failed: {reasons[0]}")
        assert run.model_folder is not None
        made = sorted(path.name for path in run.model_folder.iterdir() if path.suffix in (".py", ".onnx", ".pt2"))
    return f"trained, scored, exported as {', '.join(made)}"


def _train_by_ray() -> str:
    """Do the same on a worker, in a process of its own."""
    return _train("cpu", executor="ray", workers=1)
