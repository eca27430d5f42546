"""Data sets of Hugging Face's `datasets` library: of its hub, or in a folder or file of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nas.core.errors import UserError, unknown_name
from nas.data.pictures import PictureFile
from nas.data.source import Request, Source, UnsplitData
from nas.data.sources.parquet import read_column

if TYPE_CHECKING:
    from torch import Tensor

    from nas.data.tables import RawColumn

_ALLOWED = "hf:NAME, hf:NAME:CONFIGURATION or hf:NAME:CONFIGURATION:SPLIT, each of which may be empty but the name"
_FORMATS = ("arrow", "csv", "imagefolder", "json", "parquet", "text", "webdataset")
"""The readers of `datasets` that may be used: others run what a data set brings, or unpickle."""

_VALIDATION = ("validation", "valid", "val", "dev")
_WORDS = ("label", "drop", "columns", "group")  # fields of Reading that are for columns


def load_hub_data(request: Request) -> UnsplitData:
    """The examples of a data set's columns: its images, else its arrays of numbers, else its rows as a table.

    Raises:
        UserError: `datasets` is not installed, there is no such data set, configuration or split, or its columns cannot
            be used.
    """
    try:
        import datasets
    except ModuleNotFoundError as error:
        allowed = "pip install 'nas-generative[hf]'"
        raise UserError("--dataset", request.name, allowed, why=f"needs {error.name}") from error
    name, _, rest = request.argument.partition(":")
    configuration, _, split = rest.partition(":")
    with _refuse_faults(request.name):
        parts = _open_splits(request.name, name, configuration or None)
        train, test, notes = _choose_splits(request.name, parts, split)
        rows = datasets.concatenate_datasets([parts[one] for one in (*train, *test)])
        data = _Columns(request, rows, sum(len(parts[one]) for one in train)).load()
    return replace(data, notes=(*notes, *data.notes))


SOURCE = Source(
    "hf",
    "a data set of Hugging Face's datasets library: hf:mnist, hf:org/name, hf:NAME:CONFIGURATION:SPLIT, or a folder",
    load_hub_data,
    argument="DATASET",
    takes=(*_WORDS, "image_shape", "kind"),
    details="Of the hub, or a folder that save_to_disk wrote, or one (or a file) of Parquet, Arrow, CSV or pictures. "
    "Needs datasets: pip install 'nas-generative[hf]', which keeps what it downloads where HF_HOME says. A column of "
    "images is read as pictures in a folder:PATH are; else one of lists or arrays of numbers as npy:PATH; else all as "
    "parquet:PATH. --columns says which where there are several. The column of class labels has the labels, or that "
    "of --label. The split test is the test part, else validation (and valid, val, dev); train, with validation where "
    "that is not the test part, is what training and validation are taken from. No code of a data set is run, and "
    "nothing is unpickled.",
)


@contextlib.contextmanager
def _refuse_faults(name: str) -> Iterator[None]:
    """Turn what `datasets` raises at what is missing or damaged into a UserError."""
    from datasets.exceptions import DatasetsError
    from pyarrow import ArrowException

    try:
        yield
    except (DatasetsError, ArrowException, OSError, ValueError, RuntimeError) as error:
        cause = error.__cause__ or error  # of a failed reader the file's fault
        why = " ".join(str(cause).split())[:200] or type(cause).__name__
        raise UserError("--dataset", name, _ALLOWED, why=why) from None


def _open_splits(called: str, name: str, configuration: str | None) -> dict[str, Any]:
    """The splits of a data set, a datasets.Dataset each."""
    import datasets

    path = Path(name).expanduser()
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        if configuration is not None:
            raise UserError("--dataset", called, "hf:FOLDER or hf:FOLDER::SPLIT", why="has no configurations")
        found = datasets.load_from_disk(str(path))
        return dict(found) if isinstance(found, dict) else {str(found.split or "train"): found}
    if path.is_file():
        builder = datasets.load_dataset_builder(path.suffix[1:], configuration, data_files=str(path))
    else:
        builder = datasets.load_dataset_builder(str(path) if path.exists() else name, configuration)
    package, _, reader = type(builder).__module__.rpartition(".")
    if not package.startswith("datasets.packaged_modules.") or reader not in _FORMATS:
        raise UserError("--dataset", called, f"data in {', '.join(_FORMATS)}", why=f"would be read by {reader}")
    builder.download_and_prepare()
    return dict(builder.as_dataset())


def _choose_splits(called: str, parts: dict[str, Any], split: str) -> tuple[list[str], list[str], list[str]]:
    """The splits that training and validation are taken from, those to test on, and a note that says so."""
    if split:
        if split not in parts:
            raise unknown_name("--dataset", split, parts)
        return [split], [], [f"split {split} alone, of {', '.join(parts)}"] if len(parts) > 1 else []
    held_out = [one for one in _VALIDATION if one in parts]
    test = ["test"] if "test" in parts else held_out[:1]
    train = [one for one in ("train", *held_out) if one in parts and one not in test]
    if len(parts) == 1:
        return [*parts], [], []
    if not train:
        why = f"has the splits {', '.join(parts)}, but no train"
        raise UserError("--dataset", called, f"{called.rstrip(':')}::SPLIT with one of them", why=why)
    unread = [one for one in parts if one not in (*train, *test)]
    notes = [f"training and validation part are taken from {' and '.join(train)}; test part: {test[0] if test else ''}"]
    if not test:
        notes = [f"all parts are taken from {' and '.join(train)}"]
    return train, test, [*notes, *([f"splits not read: {', '.join(unread)}"] if unread else [])]


@dataclass(frozen=True)
class _Columns:
    """The columns of a data set, as what the user says of them.

    Attributes:
        rows: a datasets.Dataset.
        count: how many of the rows, the first, are not of the test part.
    """

    request: Request
    rows: Any
    count: int

    def load(self) -> UnsplitData:
        """Read the images, else the arrays, else all as a table."""
        import datasets

        reading, features = self.request.reading, self.rows.features
        for option in ("drop", "columns"):
            for one in getattr(reading, option):
                if one not in features:
                    raise unknown_name(f"--{option}", one, features)
        wanted = [one for one in reading.columns or features if one not in reading.drop]
        images = [one for one in wanted if isinstance(features[one], datasets.Image)]
        arrays = [one for one in wanted if _holds_arrays(features[one])]
        label = self._find_label(several=not images and not arrays)
        if not images and not arrays:
            reading.refuse_others(_WORDS, self.request.name)
            return self._read_table(label)
        found, what = (images, "images") if images else (arrays, "arrays")
        if len(found) > 1:
            raise UserError("--columns", ",".join(found), "one of them", why=f"there are several columns of {what}")
        reading.refuse_others(_WORDS if images else (*_WORDS, "image_shape", "kind"), self.request.name)
        read = [found[0], *(one for one in (label, reading.group) if one is not None)]
        unread = [one for one in features if one not in read and one not in reading.drop]
        data = (self._read_pictures if images else self._read_arrays)(found[0], label)
        return replace(data, notes=(*data.notes, *([f"columns not read: {', '.join(unread)}"] if unread else [])))

    def _find_label(self, *, several: bool) -> str | None:
        """The column with the labels: that of --label, else the only one of class labels."""
        import datasets

        features, label = self.rows.features, self.request.reading.label
        if label is not None:
            if label not in features and label != "none":
                raise unknown_name("--label", label, features)
            return label if label in features else None
        found = [one for one, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
        found = [one for one in found if one not in self.request.reading.drop]
        if len(found) > 1 and not several:
            raise UserError("--label", None, f"{', '.join(found)} or none", why="there are several columns of labels")
        return found[0] if len(found) == 1 else None

    def _read_table(self, label: str | None) -> UnsplitData:
        from nas.data.tables import RawTable, choose_columns, make_vectors

        name, reading = self.request.name, replace(self.request.reading, label=label)
        wanted = choose_columns(name, [*self.rows.features], reading)
        columns = [self._read_column(one) for one in self.rows.features if one in wanted]
        data = make_vectors(RawTable(name, columns, range(1, len(self.rows) + 1)), reading)
        groups = None if data.groups is None else data.groups[: self.count]
        test = data.pool.take(slice(self.count, None)) if self.count < len(self.rows) else None
        return replace(data, pool=data.pool.take(slice(self.count)), test=test, groups=groups)

    def _read_column(self, name: str) -> RawColumn:
        import datasets

        from nas.data.tables import Words

        column = self._take_arrow(name)
        if not isinstance(kind := self.rows.features[name], datasets.ClassLabel):
            return read_column(name, column)
        places = column.fill_null(-1).to_numpy()
        used = np.unique(places[places >= 0])
        moved = np.where(places < 0, -1, np.searchsorted(used, places))
        return Words(name, moved, tuple(kind.names[place] for place in used))

    def _read_pictures(self, column: str, label: str | None) -> UnsplitData:
        import datasets

        from nas.data.picture_sets import read_pictures

        reading = self.request.reading
        cells = self.rows.select_columns([column]).cast_column(column, datasets.Image(decode=False))
        # which is made of what the data set was made of, and what was done to it
        identity = f"{self.rows._fingerprint} {column}"
        found = read_pictures(_PictureFiles(cells, column), reading, self.request.directory, lambda: identity)
        faulty = range(len(self.rows)) if found is None else found.faulty
        if faulty and reading.strict:
            raise UserError("--strict", f"row {faulty[0]} of {column}", "pictures that can be read")
        if found is None:
            raise UserError("--dataset", self.request.name, "pictures that can be read", why=f"none in {column} can be")
        kept = np.setdiff1d(np.arange(len(self.rows)), faulty)
        count = int((kept < self.count).sum())
        test = found.images[count:] if count < len(kept) else None
        data = self._make_parts(found.images[:count], test, label, kept)
        return replace(data, notes=found.notes, pictures=found.rule)

    def _read_arrays(self, column: str, label: str | None) -> UnsplitData:
        import torch

        from nas.data.arrays import read_examples
        from nas.data.mapped import allocate
        from nas.data.pieces import slice_rows

        cells = self.rows.select_columns([column]).with_format("numpy")
        first = np.asarray(cells[0][column])
        shape = (len(cells), *first.shape)
        array = allocate(shape, torch.from_numpy(np.empty(0, first.dtype)).dtype, self.request.directory).numpy()
        for rows in slice_rows(shape):
            some = np.asarray(cells[rows][column])
            if some.dtype == object or some.shape[1:] != first.shape:
                why = f"those of {column} differ in shape"
                raise UserError("--dataset", self.request.name, "arrays of one shape", why=why)
            array[rows] = some
        parts = {column: array[: self.count], f"{column} of the test part": array[self.count :]}
        parts = {key: part for key, part in parts.items() if len(part)}
        tensors, notes = read_examples(self.request.name, parts, self.request.reading, self.request.directory)
        data = self._make_parts(tensors[0], tensors[1] if len(tensors) > 1 else None, label, np.arange(len(cells)))
        return replace(data, notes=tuple(notes))

    def _make_parts(self, pool: Tensor, test: Tensor | None, label: str | None, kept: np.ndarray) -> UnsplitData:
        """Examples of the rows that are `kept`, with their labels and groups."""
        import torch

        from nas.data.dataset import Split

        count, group = len(pool), self.request.reading.group
        classes, numbers = ((), None) if label is None else self._read_labels(label)
        labels = None if numbers is None else torch.from_numpy(numbers[kept])
        groups = None
        if group is not None:
            if group not in self.rows.features:
                raise unknown_name("--group", group, self.rows.features)
            values = np.array(self._take_arrow(group).to_pylist(), dtype=str)[kept[:count]]
            groups = torch.from_numpy(np.unique(values, return_inverse=True)[1].astype(np.int64))
        parts = (None if labels is None else labels[:count]), (None if labels is None else labels[count:])
        return UnsplitData(
            Split(pool, parts[0]), None if test is None else Split(test, parts[1]), classes, groups=groups
        )

    def _read_labels(self, name: str) -> tuple[tuple[str, ...], np.ndarray]:
        """The classes' names, and the number of each row's, (N,) int64."""
        import datasets

        from nas.data.labels import number_labels, read_labels

        column, kind = self._take_arrow(name), self.rows.features[name]
        coded = isinstance(kind, datasets.ClassLabel)
        values = column.to_pylist()
        missing = next((row for row, value in enumerate(values) if value is None or (coded and value < 0)), None)
        if missing is not None:
            part = "test part" if missing >= self.count else "training part"
            allowed = "a column with a label in every row, --label none, or another split: hf:NAME:CONFIGURATION:SPLIT"
            raise UserError("--label", name, allowed, why=f"row {missing} of the data, in the {part}, has none")
        if coded:
            return tuple(kind.names), np.array(values, dtype=np.int64)
        try:
            found, _ = read_labels(np.array(values), len(values))
        except ValueError as error:
            raise UserError("--label", name, "a column of whole numbers or of words", why=f"it {error}") from None
        classes, (numbers,) = number_labels([found])
        return classes, numbers

    def _take_arrow(self, name: str) -> Any:
        """A column as a pyarrow.ChunkedArray."""
        return self.rows.select_columns([name]).with_format("arrow")[:][name]


class _PictureFiles(Sequence[PictureFile]):
    """The files of a column of images, which are not decoded."""

    def __init__(self, cells: Any, column: str) -> None:
        self._cells, self._column = cells, column

    def __len__(self) -> int:
        return len(self._cells)

    def __getitem__(self, place: Any) -> Any:
        cell = self._cells[place][self._column] or {"bytes": b"", "path": None}  # what is missing cannot be read
        return Path(cell["path"]) if cell["bytes"] is None else cell["bytes"]


def _holds_arrays(kind: Any) -> bool:
    """Whether a column holds lists or arrays of numbers."""
    import datasets

    if isinstance(kind, (datasets.Array2D, datasets.Array3D)):
        return True
    inner = getattr(kind, "feature", None)  # of a list
    if inner is None:
        return False
    numbers = isinstance(inner, datasets.Value) and inner.dtype.startswith(("int", "uint", "float", "bool"))
    return numbers or _holds_arrays(inner)
