"""What a run's configuration stands for: the parts of a search."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nas.core.early_stopping import EarlyStopping
from nas.core.evaluator import Assumption, Evaluator
from nas.core.executor import Executor
from nas.core.genotype import Genotype
from nas.core.promotion import Promotion
from nas.core.space import SearchSpace
from nas.core.strategy import Strategy
from nas.core.trial import Objective

if TYPE_CHECKING:
    from nas.data.dataset import Dataset
    from nas.data.pairs import DomainPair


@dataclass(frozen=True)
class Parts:
    """What a configuration stands for. The Python interface may give any of these itself."""

    space: SearchSpace
    evaluator: Evaluator
    data: Dataset | DomainPair
    objectives: tuple[Objective, ...]
    assumptions: tuple[Assumption, ...]
    make_strategy: Callable[[SearchSpace], Strategy]
    executor: Executor
    device: str
    epochs: int
    early_stopping: EarlyStopping
    early_stopping_name: str
    decided: Mapping[str, Any] = field(default_factory=dict)
    """Options that were left open, as they are for this run."""
    usual: Genotype | None = None
    promotion: Promotion | None = None
