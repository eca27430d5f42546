"""Where images come from: one file a kind of source, each giving a Source."""

from __future__ import annotations

from dataclasses import dataclass

from nas.data.dataset import Split


@dataclass(frozen=True)
class Source:
    """What a source holds.

    Attributes:
        pool: the images that training and validation are taken from, and testing where `test` is None.
        test: the source's own test part.
        notes: what was done to the images, a sentence each.
    """

    pool: Split
    test: Split | None = None
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
