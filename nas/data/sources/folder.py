"""Pictures in a folder."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from nas.core.errors import UserError
from nas.data.dataset import Split
from nas.data.resizing import covering
from nas.data.sources import Source

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
_LARGEST_SIDE = 64
_ALLOWED = "a folder of pictures (" + ", ".join(sorted(suffix[1:] for suffix in SUFFIXES)) + ")"


def load(name: str, folder: Path, image_size: int | None, strict: bool) -> Source:
    """Every picture below `folder`; the first levels of subfolders are classes if no picture lies at the top.

    Raises:
        UserError: not a folder, no picture in it, or, if `strict`, a picture that cannot be read.
    """
    if not folder.is_dir():
        raise UserError("--dataset", name, _ALLOWED, why="is a file")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise UserError("--dataset", name, _ALLOWED, why="holds no picture")
    headers = {path: header for path in paths if (header := _header(path)) is not None}
    grey = all(mode in _GREY for mode, _ in headers.values())
    sizes = {size for _, size in headers.values()}
    as_they_are = image_size is None and len(sizes) == 1 and max(next(iter(sizes))) <= _LARGEST_SIDE
    side = image_size or _LARGEST_SIDE
    width, height = next(iter(sizes)) if as_they_are else (side, side)
    images = torch.empty((len(headers), 1 if grey else 3, height, width), dtype=torch.uint8)
    read: list[Path] = []
    faulty = [path for path in paths if path not in headers]
    for path in headers:
        pixels = _pixels(path, grey, None if as_they_are else side)
        if pixels is None:
            faulty.append(path)
        else:
            images[len(read)] = torch.from_numpy(pixels)
            read.append(path)
    if faulty and strict:
        raise UserError("--strict", str(min(faulty)), "pictures that can be read", why="cannot be read")
    if not read:
        raise UserError("--dataset", name, _ALLOWED, why=f"none of its {len(paths)} pictures can be read")
    notes = []
    if faulty:
        several = "s" if len(faulty) > 1 else ""
        notes.append(f"{len(faulty)} picture{several} could not be read and {'were' if several else 'was'} skipped")
    if not as_they_are:
        notes.append(f"pictures were scaled to cover {side} x {side} and cropped at the centre")
    classes, labels = _labels(folder, read)
    return Source(Split(images[: len(read)], labels), classes=classes, notes=tuple(notes))


def _labels(folder: Path, paths: list[Path]) -> tuple[tuple[str, ...], torch.Tensor | None]:
    tops = [path.relative_to(folder).parts for path in paths]
    if any(len(parts) == 1 for parts in tops):
        return (), None
    classes = tuple(sorted({parts[0] for parts in tops}))
    return classes, torch.tensor([classes.index(parts[0]) for parts in tops])


def _header(path: Path) -> tuple[str, tuple[int, int]] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return picture.mode, picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None  # counted by the caller


def _pixels(path: Path, grey: bool, side: int | None) -> np.ndarray | None:
    """(C, H, W) uint8; None if the picture is corrupt."""
    try:
        with Image.open(path) as picture:
            flat = _flattened(picture, grey)
    except (OSError, ValueError, SyntaxError):
        return None
    if side is not None:
        flat = covering(flat, side)
    pixels = np.array(flat)
    return pixels[None] if grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _flattened(picture: Image.Image, grey: bool) -> Image.Image:
    picture.load()
    if picture.mode in ("I", "I;16", "I;16B"):  # 16 bits: keep the upper 8
        picture = Image.fromarray((np.asarray(picture).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8))
    elif picture.mode == "F":
        values = np.asarray(picture)
        if not (values.min() >= 0 and values.max() <= 1):  # also refuses NaN
            raise ValueError("floats outside of [0, 1]")
        picture = Image.fromarray(np.rint(values * 255).astype(np.uint8))
    elif picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        with_alpha = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, (0, 0, 0, 255))
        picture = Image.alpha_composite(ground, with_alpha)
    return picture.convert("L" if grey else "RGB")
