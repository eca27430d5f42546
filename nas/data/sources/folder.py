"""Pictures in a folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nas.core.errors import UserError
from nas.data.picture_sets import LARGEST_SIDE, read_pictures
from nas.data.source import Request, Source, UnsplitData

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_ALLOWED = "a folder of pictures (" + ", ".join(sorted(suffix[1:] for suffix in SUFFIXES)) + ")"


def load_folder(request: Request) -> UnsplitData:
    """Every picture below the folder; the first levels of subfolders are classes if no picture lies at the top.

    Raises:
        UserError: it is not a folder, has no picture in it, or, if asked to be strict, one that cannot be read.
    """
    import torch

    from nas.data.dataset import Split

    name, folder, reading = request.name, request.find_path(), request.reading
    if not folder.is_dir():
        raise UserError("--dataset", name, _ALLOWED, why="is a file")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise UserError("--dataset", name, _ALLOWED, why="holds no picture")
    found = read_pictures(paths, reading, request.directory, lambda: _identify(paths))
    faulty = range(len(paths)) if found is None else found.faulty
    if faulty and reading.strict:
        raise UserError("--strict", str(paths[faulty[0]]), "pictures that can be read", why="cannot be read")
    if found is None:
        raise UserError("--dataset", name, _ALLOWED, why=f"none of its {len(paths)} pictures can be read")
    skipped = set(faulty)
    classes, labels = label_by_subfolder(folder, [path for place, path in enumerate(paths) if place not in skipped])
    pool = Split(found.images, None if labels is None else torch.from_numpy(labels))
    return UnsplitData(pool, classes=classes, notes=found.notes, pictures=found.rule)


SOURCE = Source(
    "folder",
    "pictures in a folder, with or without a subfolder for each class",
    load_folder,
    argument="PATH",
    details="Reads png, jpg, jpeg, bmp, gif, webp, tif, tiff, ppm and pgm, in the order of their paths, upright as "
    "EXIF says. If every picture lies in a subfolder, the subfolders are the classes. Grey if every picture is grey, "
    "else RGB, or as --channels L, RGB or RGBA says; without alpha, transparent parts are laid on white "
    "(--background). Values of more than 8 bits are scaled by the bits that the largest of all uses. A corrupt picture "
    "is skipped and counted, or refused with --strict. What does not fit into memory is read once and kept on disk. "
    "Those that differ in size, or have a side above "
    f"{LARGEST_SIDE}, are read as {LARGEST_SIDE} x {LARGEST_SIDE}.",
)


def _identify(paths: Sequence[Path]) -> str:
    """A digest of where pictures lie, how long they are and when they were changed."""
    digest = hashlib.sha256()
    for path in paths:
        about = path.stat()
        digest.update(f"{path.absolute()}\0{about.st_size}\0{about.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def label_by_subfolder(folder: Path, paths: list[Path]) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Name classes by the subfolders, and give each path's (N,); nothing where a file lies in the folder itself."""
    tops = [path.relative_to(folder).parts for path in paths]
    if any(len(parts) == 1 for parts in tops):
        return (), None
    classes = tuple(sorted({parts[0] for parts in tops}))
    return classes, np.array([classes.index(parts[0]) for parts in tops])
