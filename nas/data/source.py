"""What a source of data is: what the catalogue shows of it, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nas.core.errors import UserError
from nas.core.picture_rule import USUAL_PICTURES, PictureRule
from nas.data.reading import Reading

if TYPE_CHECKING:
    from torch import Tensor

    from nas.data.columns import Column
    from nas.data.dataset import Split


@dataclass(frozen=True)
class UnsplitData:
    """What a source holds, before it is split.

    Attributes:
        pool: the examples that training and validation are taken from, and testing where `test` is None.
        test: the source's own test part.
        classes: the names of the labels; empty where there are none.
        notes: what was done to the examples, a sentence each.
        pictures: how other picture files are to be read, so that they are like the examples.
        columns: of vectors and sequences that are to be standardised, what their numbers or channels are, without means
            and deviations, which are the training part's. The examples may then be float64.
        groups: (N,) int64, a number for each example of the pool; those with the same one stay in one part.
    """

    pool: Split
    test: Split | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    pictures: PictureRule = USUAL_PICTURES
    columns: tuple[Column, ...] = ()
    groups: Tensor | None = None


@dataclass(frozen=True)
class Request:
    """What a source is asked for.

    Attributes:
        name: what the user calls the data set: ``csv:faces.csv``.
        argument: what follows the source's name and a colon: ``faces.csv``; empty for a source without an argument.
        reading: what the user says of how it is read. A source that reads pictures one by one resizes them and gives
            them the channels asked for; all others leave that to whoever asks.
        directory: where downloads are kept.
        load: loads another data set by name, sized, as this one was asked for.
    """

    name: str
    argument: str
    reading: Reading
    directory: Path
    load: Callable[[str], UnsplitData]

    def find_path(self) -> Path:
        """The path that the argument names.

        Raises:
            UserError: it does not exist or cannot be read.
        """
        try:
            path = Path(self.argument).expanduser()
            path.stat()
        except FileNotFoundError:
            raise UserError("--dataset", self.name, "a path that exists", why="does not exist") from None
        except (OSError, ValueError, RuntimeError) as error:  # too long, with a null byte, of an unknown user
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise UserError("--dataset", self.name, "a path that can be read", why=why) from None
        return path


@dataclass(frozen=True)
class Source:
    """A data set, or a kind of file or folder that data is read from.

    The module of a source imports torch only while it loads, since the catalogue, which lists the sources, is quick.

    Attributes:
        name: what the user calls it, without a colon: ``digits``, ``csv``.
        about: one line of help.
        load: reads all of its examples; raises UserError, naming --dataset, for what cannot be used.
        argument: what the user writes after the name and a colon: a path, the name of another data set of the
            catalogue, what another library calls one (which may be a path), or nothing.
        details: a paragraph about its format.
        downloads: which files it downloads, and where they belong in the folder of downloads.
        takes: which fields of Reading it takes of those in nas.data.reading.FITS, which not every source does.
    """

    name: str
    about: str
    load: Callable[[Request], UnsplitData]
    argument: Literal["PATH", "NAME", "DATASET"] | None = None
    details: str = ""
    downloads: str = ""
    takes: tuple[str, ...] = ()

    @property
    def pattern(self) -> str:
        """How the user writes it: ``digits``, ``csv:PATH``."""
        return self.name if self.argument is None else f"{self.name}:{self.argument}"
