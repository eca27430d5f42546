"""The files of a run: written whole or not at all, by the one process that owns the run."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import filelock

from nas.core.errors import RunInUse
from nas.core.evaluator import CHECKPOINT, WEIGHTS

JOURNAL = "study.journal"
FOLDERS = {WEIGHTS: "weights", CHECKPOINT: "checkpoints"}
"""Where among its artifacts a run keeps what trials begin from."""


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all, also after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def hold_signals() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back while the journal is written: in there they could leave its lock behind."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals reach the main thread alone
        return
    held: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, lambda received, frame: held.append(received))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        if held:
            signal.raise_signal(held[0])


def lock_run(path: Path) -> filelock.BaseFileLock:
    """Take the lock of the run in this folder.

    Raises:
        RunInUse: another process has it.
    """
    lock = filelock.FileLock(path / ".lock", timeout=0.5)  # who looks whether it is taken takes it for an instant
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RunInUse("RUN", str(path), "a run that no other process works on", why="is in use") from None
    return lock


def in_use(path: Path) -> bool:
    """Whether a process owns the run in this folder now."""
    lock = filelock.FileLock(path / ".lock", timeout=0)
    try:
        with lock:
            return False
    except filelock.Timeout:
        return True
    except OSError:  # a folder that cannot be written to is owned by nobody
        return False


def repair_journal(journal: Path) -> None:
    """Undo what a killed writer can leave behind: temporary files and folders, half a line at the journal's end, and
    the journal's own lock.

    Only the owner of the run may call this. A dashboard may hold the journal's lock for an instant, so a lock is
    taken away only if it stays.
    """
    run, artifacts = journal.parent, journal.parent / "artifacts"
    now = time.time()
    for leftover in [
        *(path for name in (".best.*", ".export-*") for path in run.glob(name) if now - path.stat().st_mtime > 600),
        *run.glob(".report.html.*"),
        *run.glob(".checkpoint.zip.*"),
        *run.glob("evaluation/*/.*"),
        *artifacts.glob(".*"),
        *(path for folder in FOLDERS.values() for path in (artifacts / folder).glob(".*")),
    ]:  # a young export may be another process's, at work
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
    stale = journal.with_name(journal.name + ".lock")
    if os.path.lexists(stale):
        time.sleep(1)
        if os.path.lexists(stale):
            stale.unlink(missing_ok=True)
    data = journal.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with journal.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
