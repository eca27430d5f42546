"""How picture files become examples: what a source decided once for all of them, and an exported model does again."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255 each."""

WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True)
class PictureRule:
    """How the pixels of picture files are read, one rule for a whole set.

    Attributes:
        background: what transparent parts are laid on; where alpha is kept, the colour of what is wholly transparent.
        bits: how many bits the values of deep pictures (16 bits a value and more) use; the upper 8 of them are kept.
        binary: whether the largest value of all is 1, which then is white.
    """

    background: Colour = WHITE
    bits: int = 16
    binary: bool = False


USUAL_PICTURES = PictureRule()
"""How pictures are read where nothing is known of those before."""
