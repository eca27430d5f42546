"""URLs of runs, and the local folders of their working copies."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

from nas.core.errors import UserError
from nas.data.catalogue import data_directory

_LOCAL = ("file", "local")
_LONGEST = 250  # bytes of a folder's name, of which file systems take 255
ALLOWED = "a folder, or a URL such as s3://bucket/runs"


def is_url(place: str | Path) -> bool:
    """Whether a place is given as a URL; fsspec's ``file://`` is one."""
    return isinstance(place, str) and "://" in place


def find_runs_folder(place: str | Path, option: str = "--runs-dir") -> Path:
    """Find the local folder of the runs of a place: the folder itself, or for a URL the folder of its working copies.

    Working copies lie in the cache, in a folder whose name is the whole URL, so that no other record is needed.

    Args:
        option: how the user gave it, for messages.

    Raises:
        UserError: the URL has a password in it, its protocol is unknown or needs a package that is missing.
    """
    if not is_url(place):
        if isinstance(place, Path) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(place)):
            raise UserError(option, str(place), ALLOWED, why="looks like a URL, which must be given as text")
        return Path(place)
    url = _normalise(str(place), option)
    name = quote(url, safe="")
    if len(name) > _LONGEST:
        raise UserError(option, url, f"a URL that is shorter by {len(name) - _LONGEST}", why="is too long")
    return _copies_folder() / name


def find_run_folder(url: str, option: str = "RUN") -> Path:
    """Find the local folder of the run at a URL.

    Raises:
        UserError: as `find_runs_folder`, or the URL is no run's.
    """
    scheme, _, rest = url.partition("://")
    above, _, name = rest.rstrip("/").rpartition("/")
    if not is_plain(name):
        raise UserError(option, _hide_secrets(url), "the URL of a run, such as s3://bucket/runs/name")
    return find_runs_folder(f"{scheme}://{above or ('/' if rest.startswith('/') else '')}", option) / name


def find_url(path: Path) -> str | None:
    """Find the URL that a local folder of runs, or of one run, is a copy of; None for any other folder."""
    path, copies = path.resolve(), _copies_folder()
    if not path.is_relative_to(copies) or path == copies:
        return None
    name, *inner = path.relative_to(copies).parts
    url = unquote(name)
    return "/".join([url.removesuffix("/"), *inner]) if is_url(url) else None


def describe_place(path: Path) -> str:
    """Say in messages where a run lies: at its URL if it has one, else in its folder."""
    return find_url(path) or str(path)


def is_plain(name: str) -> bool:
    """Whether a name is that of something visible in a folder, and leads nowhere else."""
    return bool(name) and not name.startswith(".") and not set(name) & {"/", "\\", "\0"}


def _copies_folder() -> Path:
    return data_directory(None).resolve() / "runs"


def _normalise(url: str, option: str) -> str:
    """Check a URL, and write it in the one way that each place has."""
    scheme, _, rest = url.partition("://")
    shown = _hide_secrets(url)
    if shown != url:
        allowed = "a URL without secrets; fsspec's protocols have files and variables of their own for them"
        raise UserError(option, shown, allowed, why="has a password or a query in it")
    _check_protocol(scheme, shown, option)
    if scheme in _LOCAL:
        return f"file://{os.path.abspath(os.path.expanduser(rest))}"
    return f"{scheme}://{rest.rstrip('/')}"


def _hide_secrets(url: str) -> str:
    """Hide the password and the query of a URL that is shown."""
    scheme, _, rest = url.partition("://")
    if scheme in _LOCAL:
        return url
    host, slash, path = rest.partition("?")[0].partition("/")
    user, at, host = host.rpartition("@")
    return f"{scheme}://{'...' if ':' in user else user}{at}{host}{slash}{path}"


def _check_protocol(scheme: str, shown: str, option: str) -> None:
    from fsspec import get_filesystem_class
    from fsspec.registry import known_implementations

    try:
        get_filesystem_class(scheme or "(none)")
    except ValueError:
        allowed = f"{ALLOWED}; fsspec's protocols, s3, gs, abfs, sftp, file and others"
        raise UserError(option, shown, allowed, why=f"fsspec knows no protocol {scheme!r}") from None
    except ImportError as error:
        package = known_implementations.get(scheme, {}).get("class", "fsspec").partition(".")[0]
        install = "" if package == "fsspec" else f" (pip install {package})"
        why = " ".join(str(error).split())
        raise UserError(option, shown, f"{ALLOWED}, whose package is installed{install}", why=why) from None
