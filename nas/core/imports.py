"""A user's own parts, which are named ``module:Class``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
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


def _look_where_one_stands() -> None:
    if "" not in sys.path:
        sys.path.append("")  # after all that is installed
