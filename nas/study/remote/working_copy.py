"""Working copies of runs at a URL of fsspec: brought up to date before they are read, and copied back.

Object stores cannot append and know no locks, so a run is always worked on in a folder of this machine. What is copied
is decided file by file from what both sides were when they were last alike. The journal decides the rest: it only
grows, so of two journals one of which begins with the other, the longer is the newer.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import filelock

from nas.core.errors import GoneOnElsewhere, NotCopied, UserError
from nas.study.files import JOURNAL, in_use, write_atomically
from nas.study.remote.store import Absent, Store, StoreFailed, is_of_run
from nas.study.remote.urls import find_run_folder, find_url
from nas.study.trial_records import has_ended_trial

log = logging.getLogger(__name__)

PAUSES = (1.0, 4.0)
"""Seconds between one try and the next where a store does not answer."""
RECORD = ("config.yaml", "environment.json", JOURNAL)
"""What a run is listed from."""
_COPIED = ".copied.json"
Result = TypeVar("Result")


Sides = tuple[str | None, str | None]
"""What a file is here, and at the URL; see `_identify` and nas.study.remote.store."""
NOWHERE: Sides = (None, None)


@contextlib.contextmanager
def _open_memory(path: Path) -> Iterator[dict[str, Sides]]:
    """What each file was, here and there, when both were last alike; what is changed in it is kept, whatever happens.

    One process at a time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(path.parent / f".{path.name}.copying"):
        file = path / _COPIED
        before = json.loads(file.read_bytes()) if file.is_file() else {}
        known: dict[str, Sides] = {name: (here, there) for name, (here, there) in before.items()}
        try:
            yield known
        finally:
            after = {name: list(sides) for name, sides in known.items()}
            if after != before:
                write_atomically(file, json.dumps(after).encode())


def bring_up_to_date(path: Path, *, only: Sequence[str] | None = None) -> None:
    """Copy here what has changed at the URL of a working copy; nothing where the folder is no working copy.

    A run that a process of this machine works on is left alone: what is here is the newest.

    Args:
        only: the files that are wanted; by default all.

    Raises:
        UserError: there is no such run, the store does not answer, or both sides have gone on without the other.
    """
    url = find_url(path)
    if url is None or (path.is_dir() and in_use(path)):
        return
    try:
        _retry(lambda: _update(path, url, only))
    except StoreFailed as error:
        raise UserError("RUN", url, "a place that can be read", why=f"cannot be read ({error})") from None


def _update(path: Path, url: str, only: Sequence[str] | None) -> None:
    store = Store(url)
    with _open_memory(path) as known:
        ours, there = _read(path / JOURNAL), store.identity(JOURNAL)
        if there is None:
            if only is not None or (ours and JOURNAL not in known):
                return  # among the runs lies something else, or it was never copied
            left = f" any more; what was copied of it here lies in {path}" if ours else ""
            raise UserError("RUN", url, "a run that is there (nas list shows them)", why=f"does not exist{left}")
        unchanged = ours and there == known.get(JOURNAL, NOWHERE)[1]
        theirs = b"" if unchanged else _cut_half_line(store.read(JOURNAL))  # before what it names
        behind = not ours.startswith(theirs)
        if behind and not theirs.startswith(ours) and has_ended_trial(_find_new_lines(ours, theirs)):
            allowed = f"a run that one machine alone has gone on with; move {path} away to take what is there"
            raise UserError("RUN", url, allowed, why=f"has gone on there, and otherwise in {path}")
        files = store.files() if only is None else {name: store.identity(name) for name in only}
        for name in set(files) - {JOURNAL}:
            now, (here, last) = _identify(path / name), known.get(name, NOWHERE)
            newer = files[name] != last and (behind or now == here)
            if files[name] is not None and (newer or now is None):  # what was removed is removed once more if it must
                _take(store, path, name)
                known[name] = _identify(path / name), files[name]
        if behind:
            write_atomically(path / JOURNAL, theirs)
            known[JOURNAL] = _identify(path / JOURNAL), there
        for name in set(known) - set(files) if behind and only is None else ():
            (path / name).unlink(missing_ok=True)
            del known[name]


def _take(store: Store, path: Path, name: str) -> None:
    """Copy a file here. Its name was checked part by part; a link in the copy must not lead out either."""
    if not (path / name).resolve().is_relative_to(path.resolve()):
        raise UserError("RUN", str(path), "a working copy without links", why=f"has {name!r}, which leads elsewhere")
    write_atomically(path / name, store.read(name))


def copy_back(path: Path, *, once: bool = False, look: bool = False) -> None:
    """Copy to the URL of a working copy what has changed here; nothing where the folder is no working copy.

    The journal comes last, so that what it names is there already, and only then is removed what it no longer needs.

    Args:
        once: whether to give up where the store does not answer at once.
        look: whether to look if what was copied is still there; what is not is copied again.

    Raises:
        GoneOnElsewhere: the run was gone on with from another machine; nothing is overwritten.
        NotCopied: the store does not answer; another call copies what is missing.
    """
    url = find_url(path)
    if url is None:
        return
    try:
        _retry(lambda: _copy_back(path, url, look), () if once else PAUSES)
    except StoreFailed as error:
        raise NotCopied(url, path, f"cannot be written to ({error})") from None


def _copy_back(path: Path, url: str, look: bool) -> None:
    store = Store(url)
    with _open_memory(path) as known:
        of_journal, journal = _identify(path / JOURNAL), _cut_half_line(_read(path / JOURNAL))
        there = store.identity(JOURNAL)
        if there is None:
            known.clear()  # nothing is there yet, or any more
        elif there != known.get(JOURNAL, NOWHERE)[1] and not journal.startswith(_cut_half_line(store.read(JOURNAL))):
            raise GoneOnElsewhere(url, path, "has gone on from elsewhere, and is left as it is")
        for name in set(known) - set(store.files()) if look else ():
            del known[name]
        names = [file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()]
        names = [name for name in names if is_of_run(name)]
        for name in sorted(names, key=_journal_last):
            here = of_journal if name == JOURNAL else _identify(path / name)
            if here not in (None, known.get(name, NOWHERE)[0]):  # None: an export has been replaced meanwhile
                known[name] = here, store.write(name, journal if name == JOURNAL else _read(path / name))
        for name in set(known) - set(names):
            store.remove(name)
            del known[name]


@contextlib.contextmanager
def copy_while_running(path: Path) -> Iterator[Callable[[], None]]:
    """Copy a run back to its URL at the end of a session, and whenever the session calls the function it is given.

    A copy that fails in between is warned of, and made up for by the next.

    Raises:
        GoneOnElsewhere: at the beginning or at the end, the run was gone on with from another machine.
        NotCopied: at the end, something is missing at the URL.
    """
    if find_url(path) is None:
        yield lambda: None
        return
    gone_on = False

    def copy(*, last: bool = False) -> None:
        nonlocal gone_on
        if gone_on:
            return
        try:
            copy_back(path, once=last)
        except NotCopied as error:
            gone_on = isinstance(error, GoneOnElsewhere)
            rest = "nothing more is copied" if gone_on else "what is missing is copied after the next trial"
            log.warning("%s", error if last else f"{error}; {rest}")

    try:
        copy_back(path)
    except GoneOnElsewhere:
        raise
    except NotCopied as error:
        log.warning("%s; the search begins all the same", error)
    try:
        yield copy
    except BaseException:
        copy(last=True)
        raise
    copy_back(path, look=True)


def publish_run(path: Path) -> None:
    """Copy a run that has just been made to its URL for the first time; if that fails, take it away here too.

    Raises:
        UserError: it cannot be copied.
    """
    try:
        copy_back(path)
    except NotCopied as error:
        shutil.rmtree(path)
        raise UserError("--runs-dir", find_url(path.parent), "a place that can be written to", why=error.why) from None


def refuse_taken_name(path: Path) -> None:
    """Refuse to make a run at a URL where something is already.

    Raises:
        UserError: there is, or the store does not answer.
    """
    url, above = find_url(path), find_url(path.parent)
    if url is None:
        return
    try:
        taken = _retry(lambda: bool(_list_names(url)))
    except StoreFailed as error:
        raise UserError("--runs-dir", above, "a place that can be reached", why=f"cannot be read ({error})") from None
    if taken:
        raise UserError("--name", path.name, f"a name that is not in {above} yet", why="this run exists")


def list_names_at(runs_dir: Path) -> list[str]:
    """List what may be runs at the URL of a folder of working copies; nothing for any other folder.

    Runs that could never be copied there are among them, and runs that were removed there are not.

    Raises:
        UserError: the store does not answer.
    """
    url = find_url(runs_dir)
    if url is None:
        return []
    try:
        found = _retry(lambda: _list_names(url))
    except StoreFailed as error:
        raise UserError("--runs-dir", url, "a place that can be read", why=f"cannot be read ({error})") from None
    here = runs_dir.iterdir() if runs_dir.is_dir() else ()
    own = {path.name for path in here if (path / JOURNAL).is_file() and not (path / _COPIED).is_file()}
    return sorted(own | {name for name, info in found if info["type"] == "directory"})


def _list_names(url: str) -> list[tuple[str, dict[str, Any]]]:
    try:
        return Store(url).names()
    except Absent:
        return []


def locate_run(run: str | Path) -> Path:
    """Find the folder of a run by its path or its URL; the copy of a URL is brought up to date.

    Raises:
        UserError: as `bring_up_to_date`, or the URL is none of a run.
    """
    if not isinstance(run, str) or "://" not in run:
        return Path(run)
    path = find_run_folder(run)
    bring_up_to_date(path)
    return path


def _retry(call: Callable[[], Result], pauses: Sequence[float] | None = None) -> Result:
    """Make a call, and again after each of the pauses where the store fails."""
    for pause in PAUSES if pauses is None else pauses:
        try:
            return call()
        except StoreFailed as error:
            log.debug("the store does not answer (%s)", error)
            time.sleep(pause)
    return call()


def _identify(file: Path) -> str | None:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return None
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _read(file: Path) -> bytes:
    return file.read_bytes() if file.is_file() else b""


def _cut_half_line(journal: bytes) -> bytes:
    """Remove half a line from the end of a journal, which a kill may have left."""
    return journal[: journal.rfind(b"\n") + 1]


def _journal_last(name: str) -> tuple[bool, str]:
    return name == JOURNAL, name


def _find_new_lines(ours: bytes, theirs: bytes) -> bytes:
    """Find the lines of one journal from where it differs from another."""
    same = next((at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), len(theirs))
    return ours[ours.rfind(b"\n", 0, same) + 1 :]
