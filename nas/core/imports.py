"""A user's own parts, which are named ``module:Class``, and packages that may be missing."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from typing import Any

from nas.core.errors import UserError


def import_part(option: str, name: str, path: str, what: str = "class") -> Any:
    """The class or function that ``module:Class`` names; modules are looked for where one stands as well.

    Args:
        option: that the user gave `name` with.
        path: ``module:Class``; the name itself, unless it is that of a part of ours.
        what: it should be, in words.

    Raises:
        UserError: the module cannot be imported, or has no such class.
    """
    module, _, attribute = path.partition(":")
    if not module or module.startswith(".") or not attribute:
        raise UserError(option, name, f"module:{what.capitalize()}, the module by its full name")
    _look_where_one_stands()
    try:
        imported = importlib.import_module(module)
    except Exception as error:  # a user's module may raise anything
        why = str(error) if isinstance(error, ImportError) else f"{type(error).__name__}: {error}"
        raise UserError(option, name, f"a module that can be imported and a {what} in it", why=why) from error
    if not hasattr(imported, attribute):
        raise UserError(option, name, f"a {what} in {module}", why=f"{module} has no {attribute}")
    return getattr(imported, attribute)


def has_module(name: str) -> bool:
    """Whether there is a module, or for ``package.module`` a package, of this name."""
    _look_where_one_stands()
    package = name.partition(".")[0]
    return bool(package) and importlib.util.find_spec(package) is not None


def find_missing_packages(names: Sequence[str]) -> list[str]:
    """Those of these packages that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


def require_packages(option: str, value: str, names: Sequence[str], install: str, otherwise: str) -> None:
    """Refuse an option's value whose packages are not installed.

    Args:
        install: what pip is to install.
        otherwise: what works without them.

    Raises:
        UserError: a package is not installed.
    """
    if missing := find_missing_packages(names):
        why = f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} not installed"
        raise UserError(option, value, f"{otherwise}; or first: pip install {install}", why=why)


def _look_where_one_stands() -> None:
    if "" not in sys.path:
        sys.path.append("")  # after all that is installed
