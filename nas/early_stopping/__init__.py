"""Which trials are not worth the rest of their epochs: one rule a file."""

from nas.early_stopping.asha import Asha
from nas.early_stopping.hyperband import Hyperband
from nas.early_stopping.incumbent import Incumbent
from nas.early_stopping.median import Median
from nas.early_stopping.never import Never
from nas.early_stopping.plateau import Plateau

__all__ = ["Asha", "Hyperband", "Incumbent", "Median", "Never", "Plateau"]
