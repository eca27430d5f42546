"""Whose training goes on, from one rung of successive halving to the next: one rule a file."""

from nas.promotion.asha import Asha
from nas.promotion.hyperband import Hyperband

__all__ = ["Asha", "Hyperband"]
