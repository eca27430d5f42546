"""Which data sets there are. Torch is not imported, so that listing them is quick."""

from __future__ import annotations

import os
from pathlib import Path

from nas.core.errors import UserError, unknown_name
from nas.core.imports import has_module, import_part
from nas.data.source import Request, Source, UnsplitData
from nas.data.sources import SOURCES

SIZE_RULE = (
    "Size: images keep their size unless --image-size S or HxW is given or their source has a size. A picture is then "
    "scaled by one factor, bilinear and antialiased, so that it covers S x S or H x W, and cropped at its centre."
)
SPLIT_RULE = (
    "Split, once: the test part is the set's own, else a fifth of the examples (at most 10,000), by --test-seed, so "
    "that it is the same for every --seed; by the seed, validation is 15% of the rest (at most 5,000, and at most "
    "a quarter of --train-size); training is what remains, or --train-size of it. Where there are labels every part "
    "has as large a share of each class as all examples; --group keeps rows together instead. The search never sees "
    "the test part. With --normal A,B training and validation have these labels alone, and the test part has all. With "
    "--labelled SHARE models are trained with no more than this share of each class's labels."
)


def data_set_names() -> dict[str, str]:
    """Every data set or pattern of one, with a line that says what it is."""
    return {source.pattern: source.about for source in SOURCES.values()}


def describe_data_set(name: str) -> str:
    """A paragraph about one data set.

    Raises:
        UserError: there is none of this name.
    """
    source, _ = _look_up(name)
    if source is None:
        raise unknown_name("NAME", name, data_set_names())
    lines = [f"{source.pattern}: {source.about}."]
    if source.details:
        lines.append(source.details)
    if source.downloads:
        lines.append(
            f"Downloaded, once, into {data_directory(None)} (--data-dir or NAS_DATA_DIR changes that). Without a "
            f"network, put {source.downloads} there."
        )
    return "\n".join([*lines, SPLIT_RULE, SIZE_RULE])


def find_source(name: str) -> tuple[Source, str]:
    """A data set's source, and its argument, which is empty for a source without one.

    Raises:
        UserError: there is no such source, or its argument is missing.
    """
    source, argument = _look_up(name)
    if source is None and argument.isidentifier() and has_module(name.partition(":")[0]):
        return _own_source(name), ""
    if source is None and (kind := _guess_source(name)):
        raise UserError("--dataset", name, f"{kind}:{name}", why="does not say what kind of data the path is")
    if source is None:
        raise unknown_name("--dataset", name, [*data_set_names(), "module:function"])
    if source.argument is not None and not argument:
        missing = {"PATH": "path", "NAME": "data set", "DATASET": "data set"}[source.argument]
        raise UserError("--dataset", name, source.pattern, why=f"names no {missing}")
    return source, argument


def _guess_source(name: str) -> str | None:
    """The source that most likely reads a path; None if there is no such path, or it could be anything."""
    path = os.path.expanduser(name)
    if os.path.isdir(path):
        return "folder"
    ending = Path(path.removesuffix(".gz")).suffix[1:].lower()
    return ending if ending in SOURCES and os.path.isfile(path) else None


def _own_source(name: str) -> Source:
    """A user's own source, ``module:function``: the function takes nothing and gives an UnsplitData.

    Raises:
        UserError: there is no such function.
    """
    function = import_part("--dataset", name, name, "function")

    def load(request: Request) -> UnsplitData:
        data = function()
        if not isinstance(data, UnsplitData):
            why = f"it gives a {type(data).__name__}"
            raise UserError("--dataset", name, "a function that gives a nas.data.source.UnsplitData", why=why)
        return data

    return Source(name, "a function of one's own", load)


def strip_transformations(name: str) -> str:
    """What a data set is made of: ``digits`` for ``inverted:digits``."""
    source, argument = _look_up(name)
    return strip_transformations(argument) if source is not None and source.argument == "NAME" else name


def shorten_name(name: str) -> str:
    """A data set's name for a reader: of a path its last part alone."""
    source, _ = _look_up(name)
    word, colon, rest = name.partition(":")
    if source is not None and source.argument == "NAME":
        return f"{word}:{shorten_name(rest)}"
    return f"{word}:{Path(rest).name}" if colon else word


def absolute_name(name: str) -> str:
    """A data set's name, with a path that holds from everywhere."""
    source, argument = _look_up(name)
    if source is None or not argument:
        return name
    if source.argument == "NAME":
        return f"{source.name}:{absolute_name(argument)}"
    if source.argument == "DATASET":
        path, colon, rest = argument.partition(":")
        found = Path(path).expanduser()
        return f"{source.name}:{found.absolute()}{colon}{rest}" if found.exists() else name
    return f"{source.name}:{Path(argument).expanduser().absolute()}"


def _look_up(name: str) -> tuple[Source | None, str]:
    """The source that a name begins with, or None, and what follows its colon."""
    word, colon, argument = name.partition(":")
    source = SOURCES.get(word)
    if source is not None and source.argument is None and colon:
        return None, ""
    return source, argument


def data_directory(given: Path | None) -> Path:
    """Where downloads are kept: as given, else NAS_DATA_DIR, else the user's cache."""
    if given is not None:
        return given
    if own := os.environ.get("NAS_DATA_DIR"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nas" / "data"
