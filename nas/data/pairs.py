"""Two data sets between which models translate."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.core.errors import UserError
from nas.core.space import Shape
from nas.data.catalogue import strip_transformations
from nas.data.dataset import Dataset, Split
from nas.data.loading import load_unsplit
from nas.data.mapped import allocate_like
from nas.data.reading import Reading
from nas.data.source import UnsplitData
from nas.data.splitting import DEFAULT_TEST_SEED, SplitRule, split_data

_FEWEST = 2


@dataclass(frozen=True)
class DomainPair:
    """Two data sets with examples of one shape, unpaired: no example of the one belongs to one of the other.

    Raises:
        UserError: the shapes differ, or a part has fewer than two examples, of which nothing can be scored.
    """

    a: Dataset
    b: Dataset

    condition = None

    def __post_init__(self) -> None:
        if self.a.shape != self.b.shape:
            shapes = " and of ".join(" x ".join(map(str, domain.shape)) for domain in self.domains)
            images = self.a.kind == self.b.kind == "image"
            why = f"{'images' if images else 'examples'} of {shapes} are not of one shape"
            sides = images and self.a.shape[1:] != self.b.shape[1:]
            sized = "--image-size S, which brings both to S x S" if sides else "--channels RGB, which both then have"
            allowed = sized if images else "two data sets of one shape"
            raise UserError("--dataset-b", self.b.name, allowed, why=why)
        for option, domain in (("--dataset", self.a), ("--dataset-b", self.b)):
            if min(len(part) for part in (domain.train, domain.validation, domain.test)) < _FEWEST:
                parts = f"is split into {domain.counts}"
                raise UserError(option, domain.name, f"more {domain.kind}s: two or more in each part", why=parts)

    @property
    def domains(self) -> tuple[Dataset, ...]:
        """Both, A first."""
        return self.a, self.b

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.a.name} and {self.b.name}"

    @property
    def shape(self) -> Shape:
        """The shape of one example of either."""
        return self.a.shape

    @property
    def kind(self) -> str:
        """What it is a pair of: ``image_pair``."""
        return f"{self.a.kind}_pair"

    @property
    def counts(self) -> str:
        """How many examples there are of what, in words."""
        return f"A {self.a.counts}; B {self.b.counts}"

    @property
    def fingerprint(self) -> str:
        """Both fingerprints: 32 hexadecimal digits."""
        return self.a.fingerprint + self.b.fingerprint

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the examples of each, a sentence each."""
        return (*(f"A: {note}" for note in self.a.notes), *(f"B: {note}" for note in self.b.notes))


def make_pair(a: Dataset, b: Dataset) -> DomainPair:
    """The two as a pair; grey images become colour where those of the other are.

    Raises:
        UserError: see DomainPair.
    """
    if a.kind == b.kind == "image" and {a.shape[0], b.shape[0]} == {1, 3}:
        a, b = (_repeat_grey(domain) if domain.shape[0] == 1 else domain for domain in (a, b))
    return DomainPair(a, b)


def load_pair(
    a: str,
    b: str,
    *,
    seed: int = 0,
    test_seed: int = DEFAULT_TEST_SEED,
    train_size: int | None = None,
    split: SplitRule = "stratified",
    data_dir: Path | None = None,
    **reading: Any,
) -> DomainPair:
    """Two data sets by name, each loaded, sized and split as nas.data.loading.load_data does it.

    Where one is made of the other, or both of a third, as ``digits`` and ``inverted:digits``, A has every second image
    and B the others: nowhere is an image in A and its counterpart in B.

    Raises:
        UserError: as load_data, naming --dataset-b for what is wrong with the second; see also DomainPair.
    """
    options = Reading(**reading)
    options.refuse_others(("image_shape", "label"), why="translation is between images")
    load = functools.partial(load_unsplit, reading=options, data_dir=data_dir)
    cut = functools.partial(split_data, seed=seed, train_size=train_size, test_seed=test_seed, split=split)
    sources = [load(a)]
    try:
        sources.append(load(b))
        if strip_transformations(a) == strip_transformations(b):
            sources = [_take_every_second(source, first) for first, source in enumerate(sources)]
        second = cut(b, sources[1])
    except UserError as error:
        if error.option == "--dataset":
            raise UserError("--dataset-b", error.value, error.allowed, why=error.why) from None
        raise
    return make_pair(cut(a, sources[0]), second)


def _take_every_second(data: UnsplitData, first: int) -> UnsplitData:
    def half(part: Split) -> Split:
        return part.take(slice(first, None, 2))

    test = None if data.test is None else half(data.test)
    note = f"every second image, from the {('first', 'second')[first]} on; the others are the other domain's"
    return replace(data, pool=half(data.pool), test=test, notes=(*data.notes, note))


def _repeat_grey(data: Dataset) -> Dataset:
    train, validation, test = (
        replace(part, examples=allocate_like(part.examples, (len(part), 3, *data.shape[1:])).copy_(part.examples))
        for part in (data.train, data.validation, data.test)
    )
    notes = (*data.notes, "grey images became colour, as those of the other domain are")
    return replace(data, train=train, validation=validation, test=test, notes=notes)
