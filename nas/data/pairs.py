"""Two sets of images between which models translate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from nas.core.errors import UserError
from nas.data.catalogue import without_transformation
from nas.data.dataset import Dataset, Split
from nas.data.loading import data_source, split
from nas.data.sources import Source

_FEWEST = 2


@dataclass(frozen=True)
class DomainPair:
    """Two data sets of images of one shape, unpaired: no image of the one belongs to one of the other.

    Raises:
        UserError: images of different shapes, or a part with fewer than two images, of which nothing can be scored.
    """

    a: Dataset
    b: Dataset

    condition = None
    kind = "image_pair"

    def __post_init__(self) -> None:
        if self.a.shape != self.b.shape:
            shapes = " and of ".join(" x ".join(map(str, domain.shape)) for domain in self.domains)
            why = f"images of {shapes} are not of one shape"
            raise UserError("--dataset-b", self.b.name, "--image-size S, which brings both to S x S", why=why)
        for option, domain in (("--dataset", self.a), ("--dataset-b", self.b)):
            if min(len(part) for part in (domain.train, domain.validation, domain.test)) < _FEWEST:
                parts = f"is split into {domain.counts}"
                raise UserError(option, domain.name, "more images: two or more in each part", why=parts)

    @property
    def domains(self) -> tuple[Dataset, ...]:
        """Both, A first."""
        return self.a, self.b

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.a.name} and {self.b.name}"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image of either."""
        return self.a.shape

    @property
    def counts(self) -> str:
        """How many images there are of what, in words."""
        return f"A {self.a.counts}; B {self.b.counts}"

    @property
    def fingerprint(self) -> str:
        """Both fingerprints: 32 hexadecimal digits."""
        return self.a.fingerprint + self.b.fingerprint

    @property
    def notes(self) -> tuple[str, ...]:
        """What was done to the images of each, a sentence each."""
        return (*(f"A: {note}" for note in self.a.notes), *(f"B: {note}" for note in self.b.notes))


def pair_of(a: Dataset, b: Dataset) -> DomainPair:
    """The two as a pair; grey images become colour where those of the other are.

    Raises:
        UserError: see DomainPair.
    """
    if {a.shape[0], b.shape[0]} == {1, 3}:
        a, b = (_coloured(domain) if domain.shape[0] == 1 else domain for domain in (a, b))
    return DomainPair(a, b)


def load_pair(
    a: str,
    b: str,
    *,
    seed: int = 0,
    train_size: int | None = None,
    image_size: int | None = None,
    data_dir: Path | None = None,
    strict: bool = False,
) -> DomainPair:
    """Two data sets by name, each loaded, sized and split as nas.data.loading.load_data does it.

    Where one is made of the other, or both of a third, as ``digits`` and ``inverted:digits``, A has every second image
    and B the others: nowhere is an image in A and its counterpart in B.

    Raises:
        UserError: as load_data, naming --dataset-b for what is wrong with the second; see also DomainPair.
    """
    sources = [data_source(a, image_size=image_size, data_dir=data_dir, strict=strict)]
    try:
        sources.append(data_source(b, image_size=image_size, data_dir=data_dir, strict=strict))
        if without_transformation(a) == without_transformation(b):
            sources = [_every_second(source, first) for first, source in enumerate(sources)]
        second = split(b, sources[1], seed=seed, train_size=train_size)
    except UserError as error:
        if error.option == "--dataset":
            raise UserError("--dataset-b", error.value, error.allowed, why=error.why) from None
        raise
    return pair_of(split(a, sources[0], seed=seed, train_size=train_size), second)


def _every_second(source: Source, first: int) -> Source:
    def half(part: Split) -> Split:
        return part.chosen(slice(first, None, 2))

    test = None if source.test is None else half(source.test)
    note = f"every second image, from the {('first', 'second')[first]} on; the others are the other domain's"
    return replace(source, pool=half(source.pool), test=test, notes=(*source.notes, note))


def _coloured(data: Dataset) -> Dataset:
    parts = (
        replace(part, examples=part.examples.repeat(1, 3, 1, 1)) for part in (data.train, data.validation, data.test)
    )
    train, validation, test = parts
    notes = (*data.notes, "grey images became colour, as those of the other domain are")
    return Dataset(data.name, train, validation, test, data.classes, notes)
