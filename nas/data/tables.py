"""Tables as vectors: which columns are used, as numbers, as words or as labels, whatever file they were read from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas.core.errors import UserError, unknown_name
from nas.data.cells import is_date, is_missing, is_number, is_text, parse_numbers
from nas.data.columns import Column, find_places
from nas.data.dataset import Split
from nas.data.labels import number_labels
from nas.data.reading import Reading
from nas.data.source import UnsplitData

MOST_WORDS = 100
"""The most values that a column of words has."""

_MOST_CLASSES = 1000
_LARGEST = float(np.finfo(np.float32).max)
_NO_NAMES = ("", "__index_level_0__")  # of a first column in CSV, and of pandas in Parquet
_COUNTERS = {"id", "index", "unnamed: 0"}


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: (N,) float64, NaN where one is missing."""

    name: str
    numbers: np.ndarray


@dataclass(frozen=True)
class Words:
    """A column of words: its distinct `words`, and (N,) indices into them, -1 where one is missing."""

    name: str
    places: np.ndarray
    words: tuple[str, ...]


@dataclass(frozen=True)
class Unusable:
    """A column of what is neither, and why: ``it holds dates``."""

    name: str
    why: str


RawColumn = Numbers | Words | Unusable


@dataclass(frozen=True)
class RawTable:
    """The columns of a file that are wanted.

    Attributes:
        name: what the user calls the data set.
        columns: in the file's order.
        rows: the number by which the user finds each row in the file.
        notes: how the file was read, a sentence each.
    """

    name: str
    columns: Sequence[RawColumn]
    rows: Sequence[int]
    notes: tuple[str, ...] = ()


def choose_columns(name: str, names: Sequence[str], reading: Reading) -> set[str]:
    """The names of the columns that are wanted, be it for the labels.

    Raises:
        UserError: two columns of the table have one name, an option names a column that the table has not, or no
            column is left.
    """
    if len(known := set(names)) < len(names):
        twice = next(one for one in names if names.count(one) > 1)
        raise UserError("--dataset", name, "a first line of names, each once", why=f"two columns are called {twice!r}")
    asked = {"label": [reading.label], "drop": reading.drop, "columns": reading.columns, "group": [reading.group]}
    asked["factors"] = reading.factors
    for option, given in asked.items():
        for one in given:
            if one is not None and one not in known:
                raise unknown_name(f"--{option}", one, known)
    chosen = set(reading.columns or known) - set(reading.drop)
    aside = {one for one in (reading.label, reading.group, *reading.factors) if one is not None}
    if not chosen - aside:
        allowed = "a column besides those of --label, --group, --factors and --drop"
        raise UserError("--dataset", name, allowed, why="no column is left")
    return chosen | aside


def make_words(name: str, places: np.ndarray, words: Sequence[str]) -> RawColumn:
    """A column of texts by their distinct `words` and (N,) indices into them, -1 where one is missing.

    Spaces around a word do not count. A column is of numbers if all its words are.
    """
    plain = [word.strip() for word in words]
    known = sorted({word for word in plain if not is_missing(word)})
    at = {word: place for place, word in enumerate(known)}
    changed = np.array([*(at.get(word, -1) for word in plain), -1])  # the last for what is missing already
    if all(is_number(word) for word in known):
        return Numbers(name, np.append(parse_numbers(known), np.nan)[changed][places])
    return Words(name, changed[places], tuple(known))


def make_vectors(table: RawTable, reading: Reading) -> UnsplitData:
    """The rows as vectors, float64 with NaN for what is missing, which are standardised when they are split.

    Columns that say nothing about a row, or too much, are left out, and a note says which: what is the same in all
    rows, numbers of rows, dates, and words, where nearly every row has its own or there are more than MOST_WORDS.

    Raises:
        UserError: a cell cannot be used (row and column are named), no column is left, or one that `reading` asks for
            cannot be used.
    """
    read = {column.name: column for column in table.columns}
    left_out: dict[str, list[str]] = defaultdict(list)
    used: list[Numbers | Words] = []
    for column in table.columns:
        if column.name in (reading.label, reading.group, *reading.factors):
            continue
        why = _find_flaw(table, column, asked=column.name in reading.columns)
        if not isinstance(column, Unusable) and not why:
            used.append(column)
        elif column.name in reading.columns:
            allowed = f"columns of numbers, or of at most {MOST_WORDS} different words"
            raise UserError("--columns", column.name, allowed, why=why)
        else:
            left_out[why].append(column.name)
    notes = [*table.notes, *(f"left out: {_join(names)}, as {why}" for why, names in left_out.items())]
    if not used:
        raise UserError("--dataset", table.name, "columns of numbers or of words", why="; ".join(["has none", *notes]))
    columns = tuple(Column(one.name, one.words if isinstance(one, Words) else ()) for one in used)
    examples = np.zeros((len(table.rows), sum(column.width for column in columns)))
    missing = 0
    for one, place in zip(used, find_places(columns), strict=True):
        if isinstance(one, Numbers):
            _check_numbers(table, one)
            examples[:, place.start] = one.numbers
        else:
            _check_words(table, one)
            rows = np.flatnonzero(one.places >= 0)
            examples[rows, place.start + one.places[rows]] = 1
            examples[one.places < 0, place] = np.nan
        missing += int(np.isnan(examples[:, place.start]).sum())
    classes, labels = ((), None) if reading.label is None else _read_labels(table, read[reading.label])
    groups = None if reading.group is None else _read_groups(table, read[reading.group])
    factors = [_read_factor(table, read[one]) for one in reading.factors]
    summary = _summarise(len(examples), columns, missing, reading)
    pool = Split(torch.from_numpy(examples), labels, factors=torch.stack(factors, 1) if factors else None)
    return UnsplitData(pool, classes=classes, notes=(summary, *notes), columns=columns, groups=groups)


def _find_flaw(table: RawTable, column: RawColumn, *, asked: bool) -> str:
    """Why a column is left out, in words, or nothing. One that is asked for may number the rows."""
    if isinstance(column, Unusable):
        return column.why
    if column.name in _NO_NAMES and not asked:
        return "without a name it names the rows"
    if isinstance(column, Numbers):
        known = column.numbers[~np.isnan(column.numbers)]
        if not len(known) or known.min() == known.max():
            return "all rows have the same"
        counted = column.name.lower() in _COUNTERS and known[0] in (0, 1)
        if counted and not asked and np.array_equal(column.numbers, known[0] + np.arange(len(column.numbers))):
            return "it numbers the rows"
        return ""
    if len(column.words) < 2:
        return "all rows have the same"
    if all(map(is_date, column.words)):
        return "it holds dates or times"
    held = int((column.places >= 0).sum())
    own = len(column.words) > 0.9 * held
    if not own and len(column.words) <= MOST_WORDS:
        return ""
    strange = [place for place, word in enumerate(column.words) if not is_number(word)]
    rows = np.flatnonzero(np.isin(column.places, strange))
    if len(rows) < 0.5 * held:
        why = f"row {table.rows[rows[0]]} holds {column.words[column.places[rows[0]]][:40]!r} in column {column.name!r}"
        allowed = f"numbers in a column of which most cells are, or --drop {column.name}"
        raise UserError("--dataset", table.name, allowed, why=why)
    return "nearly every row has its own" if own else f"there are more than {MOST_WORDS} different words"


def _check_numbers(table: RawTable, column: Numbers) -> None:
    for row in np.flatnonzero(np.abs(column.numbers) > _LARGEST)[:1]:
        why = f"row {table.rows[row]} holds {column.numbers[row]:g} in column {column.name!r}"
        raise UserError("--dataset", table.name, f"finite numbers up to {_LARGEST:.1e}", why=why)


def _check_words(table: RawTable, column: Words) -> None:
    for place, word in enumerate(column.words):
        if not is_text(word):
            row = int((column.places == place).argmax())
            why = f"row {table.rows[row]} holds other bytes in column {column.name!r}"
            raise UserError("--dataset", table.name, "text in UTF-8", why=why)


def _refuse_missing(table: RawTable, option: str, column: Numbers | Words) -> None:
    missing = np.isnan(column.numbers) if isinstance(column, Numbers) else column.places < 0
    for row in np.flatnonzero(missing)[:1]:
        why = f"row {table.rows[row]} has none"
        raise UserError(option, column.name, "a column with a value in every row", why=why)


def _read_labels(table: RawTable, column: RawColumn) -> tuple[tuple[str, ...], Tensor]:
    """The names of the classes, and each row's index in them."""
    allowed = f"a column of whole numbers or of words, at most {_MOST_CLASSES} different ones"
    if isinstance(column, Unusable):
        raise UserError("--label", column.name, allowed, why=column.why)
    _refuse_missing(table, "--label", column)
    if isinstance(column, Words):
        _check_words(table, column)
        classes, places = column.words, column.places
    else:
        for row in np.flatnonzero(column.numbers != np.rint(column.numbers))[:1]:
            why = f"row {table.rows[row]} holds {column.numbers[row]:g}"
            raise UserError("--label", column.name, allowed, why=why)
        _check_numbers(table, column)
        classes, (places,) = number_labels([column.numbers])
    if len(classes) > _MOST_CLASSES:
        raise UserError("--label", column.name, allowed, why=f"it has {len(classes):,}")
    return classes, torch.from_numpy(places.astype(np.int64))


def _read_factor(table: RawTable, column: RawColumn) -> Tensor:
    """What each row has of a factor, (N,) float64; words are numbered."""
    if isinstance(column, Unusable):
        raise UserError("--factors", column.name, "columns of numbers or of words", why=column.why)
    _refuse_missing(table, "--factors", column)
    if isinstance(column, Numbers):
        _check_numbers(table, column)
    return torch.from_numpy((column.places if isinstance(column, Words) else column.numbers).astype(np.float64))


def _read_groups(table: RawTable, column: RawColumn) -> Tensor:
    if isinstance(column, Unusable):
        raise UserError("--group", column.name, "a column of numbers or of words", why=column.why)
    _refuse_missing(table, "--group", column)
    if isinstance(column, Words):
        return torch.from_numpy(column.places.astype(np.int64))
    return torch.from_numpy(np.unique(column.numbers, return_inverse=True)[1].astype(np.int64))


def _summarise(rows: int, columns: Sequence[Column], missing: int, reading: Reading) -> str:
    """How the table was read: ``10,000 rows: 12 columns of numbers, 3 of words (as 17 numbers); label: class``."""
    widths = [column.width for column in columns if column.values]
    numbers = len(columns) - len(widths)
    kinds = [f"{numbers} column{'s' * (numbers != 1)} of numbers"] if numbers else []
    if widths:
        noun = "" if numbers else f" column{'s' * (len(widths) != 1)}"
        kinds.append(f"{len(widths)}{noun} of words (as {sum(widths)} numbers)")
    if missing:
        kinds.append(f"{missing:,} missing value{'s' * (missing != 1)}")
    told = {"label": reading.label, "group": reading.group, "factors": ", ".join(reading.factors)}
    return "; ".join([f"{rows:,} rows: {', '.join(kinds)}", *(f"{key}: {one}" for key, one in told.items() if one)])


def _join(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8} more"
