"""Pictures in a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from nas.core.errors import UserError
from nas.core.picture_rule import PictureRule
from nas.data.pictures import Header, Mode, find_largest, read_header, read_pixels
from nas.data.reading import COUNTS, Reading
from nas.data.source import Request, Source, UnsplitData
from nas.data.values import count_bits

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm"}
_LARGEST_SIDE = 64
_ALLOWED = "a folder of pictures (" + ", ".join(sorted(suffix[1:] for suffix in SUFFIXES)) + ")"


def load_folder(request: Request) -> UnsplitData:
    """Every picture below the folder; the first levels of subfolders are classes if no picture lies at the top.

    Raises:
        UserError: it is not a folder, has no picture in it, or, if asked to be strict, one that cannot be read.
    """
    from nas.data.dataset import Split

    name, folder, reading = request.name, request.find_path(), request.reading
    if not folder.is_dir():
        raise UserError("--dataset", name, _ALLOWED, why="is a file")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
    if not paths:
        raise UserError("--dataset", name, _ALLOWED, why="holds no picture")
    headers = {path: header for path in paths if (header := read_header(path, _LARGEST_SIDE)) is not None}
    mode = _choose_mode(headers, reading)
    sizes = {header.size for header in headers.values()}
    as_they_are = reading.size is None and len(sizes) == 1 and max(next(iter(sizes))) <= _LARGEST_SIDE
    size = next(iter(sizes)) if as_they_are else reading.size or (_LARGEST_SIDE, _LARGEST_SIDE)
    images = np.empty((len(headers), COUNTS[mode], *size), dtype=np.uint8)
    largest = max((find_largest(path) for path, header in headers.items() if header.deep), default=None)
    rule = PictureRule(reading.colour, 16 if largest is None else count_bits(largest))
    read: list[Path] = []
    faulty = [path for path in paths if path not in headers]
    transparent = 0
    for path in headers:
        found = read_pixels(path, mode, rule, None if as_they_are else size)
        if found is None:
            faulty.append(path)
        else:
            images[len(read)] = found[0]
            transparent += found[1]
            read.append(path)
    if faulty and reading.strict:
        raise UserError("--strict", str(min(faulty)), "pictures that can be read", why="cannot be read")
    if not read:
        raise UserError("--dataset", name, _ALLOWED, why=f"none of its {len(paths)} pictures can be read")
    images = images[: len(read)]
    notes = []
    if faulty:
        several = "s" if len(faulty) > 1 else ""
        notes.append(f"{len(faulty)} picture{several} could not be read and {'were' if several else 'was'} skipped")
    if transparent and mode != "RGBA":
        several = "pictures have" if transparent > 1 else "picture has"
        how = f"laid on {reading.background} (--background is another, --channels RGBA keeps them)"
        notes.append(f"{transparent} {several} transparent parts, {how}")
    if largest is not None:
        notes.append(f"deep pictures hold values up to {largest}: read as {rule.bits} bits, the upper 8 are kept")
    if images.max() == 1:
        images *= 255
        rule = replace(rule, binary=True)
        notes.append("pictures hold only 0 and 1: read as black and white")
    if not as_they_are:
        notes.append(f"pictures were scaled to cover {size[0]} x {size[1]} and cropped at the centre")
    classes, labels = label_by_subfolder(folder, read)
    return UnsplitData(Split.from_arrays(images, labels), classes=classes, notes=tuple(notes), pictures=rule)


SOURCE = Source(
    "folder",
    "pictures in a folder, with or without a subfolder for each class",
    load_folder,
    argument="PATH",
    details="Reads png, jpg, jpeg, bmp, gif, webp, tif, tiff, ppm and pgm, in the order of their paths, upright as "
    "EXIF says. If every picture lies in a subfolder, the subfolders are the classes. Grey if every picture is grey, "
    "else RGB, or as --channels L, RGB or RGBA says; without alpha, transparent parts are laid on white "
    "(--background). Values of more than 8 bits are scaled by the bits that the largest of all uses. A corrupt picture "
    "is skipped and counted, or refused with --strict. Those that differ in size, or have a side above "
    f"{_LARGEST_SIDE}, are read as {_LARGEST_SIDE} x {_LARGEST_SIDE}.",
)


def _choose_mode(headers: Mapping[Path, Header], reading: Reading) -> Mode:
    if reading.channels != "auto":
        return reading.channels
    grey_ground = len(set(reading.colour)) == 1
    grey = all(header.grey and (grey_ground or not header.alpha) for header in headers.values())
    return "L" if grey else "RGB"


def label_by_subfolder(folder: Path, paths: list[Path]) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Name classes by the subfolders, and give each path's (N,); nothing where a file lies in the folder itself."""
    tops = [path.relative_to(folder).parts for path in paths]
    if any(len(parts) == 1 for parts in tops):
        return (), None
    classes = tuple(sorted({parts[0] for parts in tops}))
    return classes, np.array([classes.index(parts[0]) for parts in tops])
