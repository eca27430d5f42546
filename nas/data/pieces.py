"""Arrays a piece at a time, since a copy of the whole might not fit into memory. Torch is not imported."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

_VALUES_AT_ONCE = 2**22


def slice_rows(shape: Sequence[int]) -> Iterator[slice]:
    """Slices of the rows of an array (N, ...), of about four million values each."""
    size = max(1, _VALUES_AT_ONCE // max(1, math.prod(shape[1:])))
    return (slice(start, min(start + size, shape[0])) for start in range(0, shape[0], size))
