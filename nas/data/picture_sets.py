"""Many pictures, of whatever size, depth and colour, as one array: read by all cores, and kept where they are large."""

from __future__ import annotations

import functools
import hashlib
import json
import math
import os
import shutil
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import PIL
from filelock import FileLock
from PIL import Image

from nas.core.picture_rule import PictureRule
from nas.core.process import count_cores
from nas.data.pictures import Header, Mode, PictureFile, find_largest, read_header, read_pixels
from nas.data.pieces import slice_rows
from nas.data.reading import COUNTS, Reading
from nas.data.values import count_bits

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_SIDE = 64
"""Pictures of one size with longer sides, and of several sizes, are read with sides of so many pixels."""

_VERSION = 1  # of how pictures are read: those that were kept by another are not used
_AT_ONCE = 32
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Found:
    """What was found in pictures besides their pixels.

    Attributes:
        size: height and width of the images.
        mode: their channels.
        as_they_are: whether that is the size of all pictures.
        faulty: the places of those that cannot be read.
        read: how many can be.
        transparent: how many have transparent parts.
        largest: the largest value of deep ones, if there are any.
        binary: whether all values are 0 or 1.
    """

    size: tuple[int, int]
    mode: Mode
    as_they_are: bool
    faulty: list[int]
    read: int = 0
    transparent: int = 0
    largest: int | None = None
    binary: bool = False

    @property
    def bits(self) -> int:
        """How many bits the values of deep pictures use."""
        return 16 if self.largest is None else count_bits(self.largest)

    def describe(self, reading: Reading) -> tuple[str, ...]:
        """What was done to the pictures, a sentence each."""
        notes = []
        if self.faulty:
            several = "s" if len(self.faulty) > 1 else ""
            skipped = f"{'were' if several else 'was'} skipped"
            notes.append(f"{len(self.faulty)} picture{several} could not be read and {skipped}")
        if self.transparent and self.mode != "RGBA":
            several = "pictures have" if self.transparent > 1 else "picture has"
            how = f"laid on {reading.background} (--background is another, --channels RGBA keeps them)"
            notes.append(f"{self.transparent} {several} transparent parts, {how}")
        if self.largest is not None:
            how = f"read as {self.bits} bits, the upper 8 are kept"
            notes.append(f"deep pictures hold values up to {self.largest}: {how}")
        if self.binary:
            notes.append("pictures hold only 0 and 1: read as black and white")
        if not self.as_they_are:
            notes.append(f"pictures were scaled to cover {self.size[0]} x {self.size[1]} and cropped at the centre")
        return tuple(notes)


@dataclass(frozen=True)
class PictureSet:
    """Pictures as images.

    Attributes:
        images: (N, C, H, W) uint8, in the order of the pictures.
        faulty: the places of the pictures that cannot be read, and are not among them.
        rule: how others are to be read, so that they are like these.
        notes: what was done to them, a sentence each.
    """

    images: Tensor
    faulty: tuple[int, ...]
    rule: PictureRule
    notes: tuple[str, ...]


def read_pictures(
    files: Sequence[PictureFile], reading: Reading, directory: Path, identity: Callable[[], str]
) -> PictureSet | None:
    """Read all pictures, with as many threads as there are cores; None if none can be read.

    Those that do not fit into memory are kept, below the folder of downloads, and read from there the next time.

    Args:
        reading: their size, channels and background.
        directory: the folder of downloads.
        identity: gives a text that changes when the pictures do.

    Raises:
        UserError: there is no room for them on the disk either.
    """
    from nas.data.mapped import memory_limit

    kept = _Kept(directory, identity(), reading)
    if (known := kept.load()) is None:
        Image.init()  # which threads must not do at once
        headers = _read_headers(files)
        if not headers:
            return None
        found = _plan(files, headers, reading)
        shape = (len(headers), COUNTS[found.mode], *found.size)
        fill = functools.partial(_fill, files=files, places=[*headers], found=found, reading=reading)
        known = fill(_make_empty(shape)) if math.prod(shape) <= memory_limit() else kept.make(shape, fill)
    images, found = known
    rule = PictureRule(reading.colour, found.bits, found.binary)
    return PictureSet(images, tuple(found.faulty), rule, found.describe(reading)) if len(images) else None


class _Kept:
    """The folder with the images of an earlier run, which is whole or not there."""

    def __init__(self, directory: Path, identity: str, reading: Reading) -> None:
        said = (_VERSION, PIL.__version__, identity, reading.size, reading.channels, reading.colour)
        self._directory = directory
        self._folder = directory / "pictures" / hashlib.sha256(json.dumps(said).encode()).hexdigest()[:20]

    def load(self) -> tuple[Tensor, _Found] | None:
        """The images, and what was found in them; None if there are none, or they are damaged."""
        from nas.data.mapped import Mapping

        try:
            about = json.loads((self._folder / "about.json").read_text(encoding="utf-8"))
            found = _Found(**{**about, "size": tuple(about["size"])})
            shape = (found.read, COUNTS[found.mode], *found.size)
            return Mapping(self._folder.absolute() / "images", "uint8", shape, 0, self._directory).open(), found
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def make(self, shape: Sequence[int], fill: Callable[[Tensor], tuple[Tensor, _Found]]) -> tuple[Tensor, _Found]:
        """Let `fill` read the pictures into a file, unless another process does or has done so, and keep it.

        Raises:
            UserError: there is no room on the disk, or it cannot be written to.
        """
        import torch

        from nas.data.mapped import make_file, refuse_disk

        unfinished = self._folder.with_suffix(".part")
        with refuse_disk(self._directory):
            unfinished.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(f"{self._folder}.lock"):
                if (known := self.load()) is not None:
                    return known
                for left in (unfinished, self._folder):  # of a process that was killed, or damaged
                    shutil.rmtree(left, ignore_errors=True)
                unfinished.mkdir()
                try:
                    images, found = fill(make_file(unfinished / "images", shape, torch.uint8, self._directory))
                    if not len(images):
                        return images, found
                    (unfinished / "about.json").write_text(json.dumps(asdict(found)), encoding="utf-8")
                    for path in unfinished.iterdir():
                        with path.open("rb+") as file:
                            os.fsync(file.fileno())
                    unfinished.rename(self._folder)
                finally:
                    shutil.rmtree(unfinished, ignore_errors=True)
                known = self.load()
                assert known is not None
                return known


def _make_empty(shape: Sequence[int]) -> Tensor:
    import torch

    return torch.empty(tuple(shape), dtype=torch.uint8)


def _read_headers(files: Sequence[PictureFile]) -> dict[int, Header]:
    """The headers of the pictures by their places, without those that cannot be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        headers = _map_places(lambda place: read_header(files[place], LARGEST_SIDE), range(len(files)))
    return {place: header for place, header in enumerate(headers) if header is not None}


def _plan(files: Sequence[PictureFile], headers: Mapping[int, Header], reading: Reading) -> _Found:
    """What size and channels images will have, and what else is known before pictures are decoded."""
    sizes = {header.size for header in headers.values()}
    own = next(iter(sizes))
    as_they_are = reading.size is None and len(sizes) == 1 and max(own) <= LARGEST_SIDE
    size = own if as_they_are else reading.size or (LARGEST_SIDE, LARGEST_SIDE)
    deep = [place for place, header in headers.items() if header.deep]
    largest = max(_map_places(lambda place: find_largest(files[place]), deep), default=None)
    faulty = [place for place in range(len(files)) if place not in headers]
    return _Found(size, _choose_mode(headers.values(), reading), as_they_are, faulty, largest=largest)


def _fill(
    images: Tensor, files: Sequence[PictureFile], places: Sequence[int], found: _Found, reading: Reading
) -> tuple[Tensor, _Found]:
    """Read the pictures at `places` into as many images, and give those that can be read."""
    import torch

    rule = PictureRule(reading.colour, found.bits)
    size = None if found.as_they_are else found.size

    def read(row: int) -> bool | None:
        pixels = read_pixels(files[places[row]], found.mode, rule, size)
        if pixels is None:
            return None
        images[row] = torch.from_numpy(pixels[0])
        return pixels[1]

    transparent = _map_places(read, range(len(places)))
    rows = [row for row, known in enumerate(transparent) if known is not None]
    for place, row in enumerate(rows) if len(rows) < len(places) else ():
        images[place] = images[row]
    images = images[: len(rows)]
    faulty = sorted([*found.faulty, *(places[row] for row, known in enumerate(transparent) if known is None)])
    binary = bool(rows) and max(int(images[some].max()) for some in slice_rows(images.shape)) == 1
    if binary:
        images *= 255
    found = replace(found, faulty=faulty, read=len(rows), transparent=sum(map(bool, transparent)), binary=binary)
    return images, found


def _choose_mode(headers: Collection[Header], reading: Reading) -> Mode:
    if reading.channels != "auto":
        return reading.channels
    grey_ground = len(set(reading.colour)) == 1
    return "L" if all(header.grey and (grey_ground or not header.alpha) for header in headers) else "RGB"


def _map_places(function: Callable[[int], _T], places: Sequence[int]) -> list[_T]:
    """What a function gives for each place, in their order, found by as many threads as there are cores.

    Threads do: Pillow decodes and resizes without Python's lock.
    """
    parts = [places[start : start + _AT_ONCE] for start in range(0, len(places), _AT_ONCE)]
    pool = ThreadPoolExecutor(count_cores())
    try:
        return list(chain.from_iterable(pool.map(lambda part: [function(place) for place in part], parts)))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C waits for no more than what has begun
