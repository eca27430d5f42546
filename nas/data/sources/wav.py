"""Recordings in a folder, cut into windows."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nas.core.errors import UserError
from nas.data.source import Request, Source, UnsplitData
from nas.data.sources.folder import label_by_subfolder

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = 1024
"""How many samples a window has where the user says nothing."""

_ALLOWED = "a folder of recordings (wav) of one number of channels"
_FEW = 10  # recordings; of fewer, stretches of their time are kept together instead
_STRETCHES = 10


def load_recordings(request: Request) -> UnsplitData:
    """Windows (N, C, window) of every recording below the folder, one after another; what is left at an end is dropped.

    Subfolders are classes as those of pictures are; see nas.data.sources.folder.

    Raises:
        UserError: it is not a folder, has no recording in it, or, if asked to be strict, one that cannot be read; or
            recordings differ in their channels, or none is as long as a window.
    """
    from nas.data.dataset import Split

    name, folder, window = request.name, request.find_path(), request.reading.window or WINDOW
    if not folder.is_dir():
        raise UserError("--dataset", name, _ALLOWED, why="is a file")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".wav", ".wave") and path.is_file())
    if not paths:
        raise UserError("--dataset", name, _ALLOWED, why="holds no recording")
    rates, faulty, short = set(), [], 0
    used: list[Path] = []
    windows: list[np.ndarray] = []
    for path in paths:
        try:
            samples, rate = read_recording(path)
        except ValueError as error:
            if request.reading.strict:
                raise UserError("--strict", str(path), "recordings that can be read", why=str(error)) from None
            faulty.append(path)
            continue
        if windows and samples.shape[0] != windows[0].shape[1]:
            why = f"{used[0].name} has {_count(windows[0].shape[1], 'channel')}, {path.name} has {samples.shape[0]}"
            raise UserError("--dataset", name, _ALLOWED, why=why)
        rates.add(rate)
        number = samples.shape[1] // window
        if not number:
            short += 1
            continue
        cut = samples[:, : number * window].reshape(len(samples), number, window)
        windows.append(np.ascontiguousarray(cut.transpose(1, 0, 2)))
        used.append(path)
    if not windows:
        why = "none can be read" if not rates else "all are shorter than a window"
        raise UserError("--window", window, f"at most the samples of a recording of {name}", why=why)
    counts = [len(part) for part in windows]
    cut_into = f"cut into {_count(sum(counts), 'window')} of {window} samples"
    notes = [f"{_count(len(used), 'recording')} at {_say_rates(rates)}, {cut_into}"]
    if short:
        notes.append(f"{_count(short, 'recording')} shorter than a window left out")
    if faulty:
        notes.append(f"{_count(len(faulty), 'recording')} could not be read and left out")
    classes, labels = label_by_subfolder(folder, used)
    split = Split.from_arrays(np.concatenate(windows), None if labels is None else np.repeat(labels, counts))
    groups, what = _group_windows(counts)
    notes.append(f"windows of one {what} stay in one part")
    return UnsplitData(split, classes=classes, notes=tuple(notes), groups=groups)


SOURCE = Source(
    "wav",
    "recordings in a folder, with or without a subfolder for each class, cut into windows",
    load_recordings,
    argument="PATH",
    details=f"Every recording is cut into windows of --window samples ({WINDOW}), one after another; nothing is "
    "resampled. Reads PCM of 8, 16, 24 and 32 bits, and whatever else soundfile reads, if it is installed. If every "
    "recording lies in a subfolder, the subfolders are the classes. Windows of one recording come into one part; of "
    f"fewer than {_FEW} recordings, those of one of {_STRETCHES} stretches of each. A recording that cannot be read is "
    "left out and counted, or refused with --strict.",
    takes=("window",),
)


def read_recording(path: Path) -> tuple[np.ndarray, int]:
    """The samples of a recording, (C, T) float32 in [-1, 1), and how many there are in a second.

    Raises:
        ValueError: it cannot be read; in one line.
    """
    try:
        with wave.open(str(path), "rb") as file:
            channels, size, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            content = file.readframes(file.getnframes())
    except (OSError, EOFError, RuntimeError, wave.Error) as error:
        return _read_by_soundfile(path, str(error) or "it is damaged")
    if size > 4:
        return _read_by_soundfile(path, f"it has samples of {size} bytes")
    content = content[: len(content) // (channels * size) * channels * size]
    return decode_samples(content, size).reshape(-1, channels).T, rate


def decode_samples(content: bytes, size: int) -> np.ndarray:
    """Whole numbers of `size` bytes each, as a WAV file has them, as float32 in [-1, 1)."""
    if size == 1:  # the only ones without a sign
        return (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / 128
    wide = np.zeros((len(content) // size, 4), np.uint8)
    wide[:, 4 - size :] = np.frombuffer(content, np.uint8).reshape(-1, size)
    return (wide.view("<i4").ravel() / 2**31).astype(np.float32)


def _read_by_soundfile(path: Path, why: str) -> tuple[np.ndarray, int]:
    try:
        import soundfile
    except ModuleNotFoundError:
        raise ValueError(f"{why}; pip install 'nas-generative[audio]' for other formats") from None
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, RuntimeError) as error:
        raise ValueError(" ".join(str(error).split())) from None
    if not np.isfinite(samples).all():
        raise ValueError("holds numbers that are not finite")
    return np.ascontiguousarray(samples.T), int(rate)


def _group_windows(counts: list[int]) -> tuple[Tensor, str]:
    """The group of each window, (N,) int64, given each recording's number of them; and what a group is."""
    import torch

    recordings = np.repeat(np.arange(len(counts)), counts)
    if len(counts) >= _FEW:
        return torch.from_numpy(recordings), "recording"
    stretches = np.concatenate([np.arange(count) * _STRETCHES // max(count, _STRETCHES) for count in counts])
    return torch.from_numpy(recordings * _STRETCHES + stretches), f"stretch of a recording, of {_STRETCHES},"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _say_rates(rates: set[int]) -> str:
    return f"{min(rates)} Hz" if len(rates) == 1 else f"{min(rates)} to {max(rates)} Hz, not resampled"
