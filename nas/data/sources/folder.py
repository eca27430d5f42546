"""Pictures in a folder."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from nas.core.errors import UserError
from nas.data.resizing import crop_and_resize
from nas.data.source import Request, Source, UnsplitData

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_GREY = {"1", "L", "LA", "I", "I;16", "I;16B", "F"}
_LARGEST_SIDE = 64
_ALLOWED = "a folder of pictures (" + ", ".join(sorted(suffix[1:] for suffix in SUFFIXES)) + ")"


def load_folder(request: Request) -> UnsplitData:
    """Every picture below the folder; the first levels of subfolders are classes if no picture lies at the top.

    Raises:
        UserError: it is not a folder, has no picture in it, or, if asked to be strict, one that cannot be read.
    """
    from nas.data.dataset import Split

    name, folder, image_size = request.name, request.find_path(), request.image_size
    if not folder.is_dir():
        raise UserError("--dataset", name, _ALLOWED, why="is a file")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise UserError("--dataset", name, _ALLOWED, why="holds no picture")
    headers = {path: header for path in paths if (header := _read_header(path)) is not None}
    grey = all(mode in _GREY for mode, _ in headers.values())
    sizes = {size for _, size in headers.values()}
    as_they_are = image_size is None and len(sizes) == 1 and max(next(iter(sizes))) <= _LARGEST_SIDE
    side = image_size or _LARGEST_SIDE
    width, height = next(iter(sizes)) if as_they_are else (side, side)
    images = np.empty((len(headers), 1 if grey else 3, height, width), dtype=np.uint8)
    read: list[Path] = []
    faulty = [path for path in paths if path not in headers]
    for path in headers:
        pixels = _read_pixels(path, grey, None if as_they_are else side)
        if pixels is None:
            faulty.append(path)
        else:
            images[len(read)] = pixels
            read.append(path)
    if faulty and request.strict:
        raise UserError("--strict", str(min(faulty)), "pictures that can be read", why="cannot be read")
    if not read:
        raise UserError("--dataset", name, _ALLOWED, why=f"none of its {len(paths)} pictures can be read")
    notes = []
    if faulty:
        several = "s" if len(faulty) > 1 else ""
        notes.append(f"{len(faulty)} picture{several} could not be read and {'were' if several else 'was'} skipped")
    if not as_they_are:
        notes.append(f"pictures were scaled to cover {side} x {side} and cropped at the centre")
    classes, labels = label_by_subfolder(folder, read)
    return UnsplitData(Split.from_arrays(images[: len(read)], labels), classes=classes, notes=tuple(notes))


SOURCE = Source(
    "folder",
    "pictures in a folder, with or without a subfolder for each class",
    load_folder,
    argument="PATH",
    details="Reads png, jpg, jpeg, bmp, gif, webp, tif, tiff, ppm and pgm, in the order of their paths. If every "
    "picture lies in a subfolder, the subfolders are the classes. Grey if every picture is grey, else RGB; "
    "transparency is laid on black. A corrupt picture is skipped and counted, or refused with --strict. "
    f"Those that differ in size, or have a side above {_LARGEST_SIDE}, are read as {_LARGEST_SIDE} x {_LARGEST_SIDE}.",
)


def label_by_subfolder(folder: Path, paths: list[Path]) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Name classes by the subfolders, and give each path's (N,); nothing where a file lies in the folder itself."""
    tops = [path.relative_to(folder).parts for path in paths]
    if any(len(parts) == 1 for parts in tops):
        return (), None
    classes = tuple(sorted({parts[0] for parts in tops}))
    return classes, np.array([classes.index(parts[0]) for parts in tops])


def _read_header(path: Path) -> tuple[str, tuple[int, int]] | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as picture:
                return picture.mode, picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None  # counted by the caller


def _read_pixels(path: Path, grey: bool, side: int | None) -> np.ndarray | None:
    """A picture's pixels (C, H, W), uint8, or None if it is corrupt."""
    try:
        with Image.open(path) as picture:
            flat = _convert_mode(picture, grey)
    except (OSError, ValueError, SyntaxError):
        return None
    if side is not None:
        flat = crop_and_resize(flat, side)
    pixels = np.array(flat)
    return pixels[None] if grey else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _convert_mode(picture: Image.Image, grey: bool) -> Image.Image:
    """The picture in 8 bits, grey or RGB, whatever its depth and transparency."""
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
