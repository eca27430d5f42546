"""Objects that a caller passes instead of names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.core.early_stopping import EarlyStopping
from nas.core.evaluator import Evaluator
from nas.core.genotype import Genotype
from nas.core.space import SearchSpace
from nas.core.strategy import Strategy

if TYPE_CHECKING:
    from nas.data.dataset import Dataset
    from nas.data.pairs import DomainPair

ARRAYS = "arrays"
"""The name of data that was given as arrays."""


@dataclass(frozen=True)
class Given:
    """Objects that a caller passes instead of names."""

    space: SearchSpace | None = None
    data: Dataset | DomainPair | None = None
    data_b: Dataset | None = None
    strategy: Callable[..., Strategy] | None = None
    ready_strategy: Strategy | None = None
    """What `strategy` gives where the caller has made it already."""
    evaluator: Callable[..., Evaluator] | None = None
    genotype: Genotype | None = None
    early_stopping: Callable[..., EarlyStopping] | None = None


NO_OBJECTS = Given()
