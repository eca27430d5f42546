"""A folder at a URL of fsspec: what is in it, and files put there whole."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from nas.core.errors import UserError
from nas.study.files import write_atomically

_IDENTITIES = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "created")
Result = TypeVar("Result")


class StoreFailed(Exception):
    """The store does not do what was asked, for now at least."""


class Absent(StoreFailed):
    """What was asked for is not there."""


class Store:
    """The folder at a URL. Names are relative, with slashes."""

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs

        self.url = url
        self._folders: set[str] = set()  # those that are sure to be there
        self._fs, self._root = self._call(lambda: url_to_fs(url))
        self._call(self._fs.invalidate_cache)

    def _call(self, call: Callable[[], Result]) -> Result:
        try:
            return call()
        except FileNotFoundError as error:
            raise Absent(_describe_error(error)) from error
        except Exception as error:
            raise StoreFailed(_describe_error(error)) from error

    def names(self) -> list[tuple[str, dict[str, Any]]]:
        """What is directly in the folder, hidden things aside.

        Raises:
            UserError: a name leads out of it.
        """
        return self._list_folder("")

    def _list_folder(self, folder: str) -> list[tuple[str, dict[str, Any]]]:
        # not fs.find, which takes a store that does not answer for one that is empty
        above = self._path(folder)
        found = []
        for info in self._call(lambda: self._fs.ls(above.rstrip("/") or "/", detail=True)):
            full = str(info["name"]).rstrip("/")
            if full == above.rstrip("/"):  # how some stores keep an empty folder
                continue
            name = full.removeprefix(above)
            if not full.startswith(above) or name in ("", ".", "..") or set(name) & {"/", "\\", "\0"}:
                why = f"has {full!r} in it, a name that leads elsewhere"
                raise UserError("RUN", self.url, "a run as nas has written it", why=why)
            if not name.startswith("."):
                found.append((name, dict(info)))
        return found

    def files(self) -> dict[str, str]:
        """All files and what tells their contents from others; none where the folder is not there."""
        found, folders = {}, [""]
        while folders:
            folder = folders.pop()
            try:
                inside = self._list_folder(folder)
            except Absent:  # it was there a moment ago
                continue
            for name, info in inside:
                if info["type"] == "directory":
                    folders.append(f"{folder}{name}/")
                elif is_of_run(folder + name):
                    found[folder + name] = _identity(info)
        return found

    def identity(self, name: str) -> str | None:
        """What tells the contents of a file from others; None where it is not there."""
        try:
            return _identity(self._call(lambda: self._fs.info(self._path(name))))
        except Absent:
            return None

    def read(self, name: str) -> bytes:
        """A file's contents."""
        return bytes(self._call(lambda: self._fs.cat_file(self._path(name))))

    def write(self, name: str, data: bytes) -> str:
        """Put a file there, whole or not at all; gives what tells its contents from others."""
        from fsspec.implementations.local import LocalFileSystem

        path = self._path(name)
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            self._call(lambda: self._fs.makedirs(folder, exist_ok=True))
            self._folders.add(folder)
        if isinstance(self._fs, LocalFileSystem):
            self._call(lambda: write_atomically(Path(path), data))
        else:
            self._call(lambda: self._put(path, data))
        return _identity(self._call(lambda: self._fs.info(path)))

    def _put(self, path: str, data: bytes) -> None:
        with self._fs.transaction:  # where a file is not put as a whole anyway, it is moved into place
            self._fs.pipe_file(path, data)

    def remove(self, name: str) -> None:
        """Take a file away, if it is there."""
        with contextlib.suppress(Absent):
            self._call(lambda: self._fs.rm_file(self._path(name)))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def is_of_run(name: str) -> bool:
    """Whether a file belongs to the run, and not to who works on it."""
    return not any(part.startswith(".") or part == "__pycache__" for part in name.split("/")) and name[-5:] != ".lock"


def _identity(info: dict[str, Any]) -> str:
    """The size, and the first thing the store says of it that changes with the contents."""
    found = next((info[name] for name in _IDENTITIES if info.get(name) is not None), "")
    return f"{info.get('size')} {found.timestamp() if hasattr(found, 'timestamp') else found}"


def _describe_error(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
