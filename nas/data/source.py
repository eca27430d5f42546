"""What a source of data is: what the catalogue shows of it, and how it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nas.core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from nas.data.columns import Column
    from nas.data.dataset import Split


AskedKind = Literal["auto", "image", "vector", "sequence"]
"""What the user says that the examples of an array are."""


@dataclass(frozen=True)
class UnsplitData:
    """What a source holds, before it is split.

    Attributes:
        pool: the examples that training and validation are taken from, and testing where `test` is None.
        test: the source's own test part.
        classes: the names of the labels; empty where there are none.
        notes: what was done to the examples, a sentence each.
        columns: of vectors and sequences that are to be standardised, what their numbers or channels are, without means
            and deviations, which are the training part's. The examples may then be float64.
        groups: (N,) int64, a number for each example of the pool; those with the same one stay in one part.
    """

    pool: Split
    test: Split | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    groups: Tensor | None = None


@dataclass(frozen=True)
class TableOptions:
    """What of a table is used, and as what.

    Attributes:
        label: the column with the labels.
        drop: columns that are not used.
        columns: the only columns that are used, where any are named.
        group: the column by which rows belong together: all with one value come into one part.
    """

    label: str | None = None
    drop: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    group: str | None = None

    def refuse(self, why: str) -> None:
        """Refuse the options for data that are no table that is read now, and say why.

        Raises:
            UserError: there are some; names the first.
        """
        for field in fields(self):
            if value := getattr(self, field.name):
                shown = value if isinstance(value, str) else ",".join(value)
                allowed = "tables, such as table:PATH or parquet:PATH"
                raise UserError(f"--{field.name}", shown, allowed, why=why)


NO_TABLE_OPTIONS = TableOptions()


@dataclass(frozen=True)
class Request:
    """What a source is asked for.

    Attributes:
        name: what the user calls the data set: ``csv:faces.csv``.
        argument: what follows the source's name and a colon: ``faces.csv``; empty for a source without an argument.
        image_size: the side of images that the user asks for, or None. A source that reads pictures one by one resizes
            them; all others leave that to whoever asks.
        directory: where downloads are kept.
        strict: whether a picture that cannot be read is refused.
        load: loads another data set by name, sized, as this one was asked for.
        table: which columns of a table are used. A source of anything else leaves them alone.
        kind: what arrays hold, where their shape leaves it open.
        window: how many samples of a recording make an example; None for the usual number.
    """

    name: str
    argument: str
    image_size: int | None
    directory: Path
    strict: bool
    load: Callable[[str], UnsplitData]
    table: TableOptions = NO_TABLE_OPTIONS
    kind: AskedKind = "auto"
    window: int | None = None

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
        argument: what the user writes after the name and a colon: a path, the name of another data set, or nothing.
        details: a paragraph about its format.
        downloads: which files it downloads, and where they belong in the folder of downloads.
        takes: which it takes of the options `kind` and `window`, which not every source does.
    """

    name: str
    about: str
    load: Callable[[Request], UnsplitData]
    argument: Literal["PATH", "NAME"] | None = None
    details: str = ""
    downloads: str = ""
    takes: tuple[str, ...] = ()

    def refuse_others(self, kind: AskedKind, window: int | None) -> None:
        """Refuse the options `kind` and `window` if this source does not take them.

        Raises:
            UserError: one is given, and not taken.
        """
        for option, value, fits in (
            ("kind", None if kind == "auto" else kind, "arrays, such as npz:PATH or npy:PATH"),
            ("window", window, "recordings, such as wav:PATH"),
        ):
            if value is not None and option not in self.takes:
                raise UserError(f"--{option}", value, fits, why=f"{self.name} takes none")

    @property
    def pattern(self) -> str:
        """How the user writes it: ``digits``, ``csv:PATH``."""
        return self.name if self.argument is None else f"{self.name}:{self.argument}"
