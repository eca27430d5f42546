"""The Ray session that a search runs in: a cluster that is joined, or one of its own that nobody else can reach."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import shutil
import signal
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock
import psutil
import ray
from ray._private import ray_constants

from nas.core.errors import UserError
from nas.core.process import set_environment

log = logging.getLogger(__name__)

_PREFIX = "nas-ray-"
_LONGEST_PLACE = 20
_NOT_FORKED = "Starting Ray client server failed"  # one in 14 and more, as gRPC does not bear the fork: Ray's #63202
_JOINS = 5
_LOOPBACK = ("127.0.0.1", "::1")
_TOKEN = secrets.token_hex(32)  # without one Ray leaves one in the home folder; it keeps to a process's first


def has_session() -> bool:
    """Whether this process has a session already, which is not ours to end."""
    return bool(ray.is_initialized())


@contextlib.contextmanager
def session(address: str | None, *, cpus: int, gpus: int) -> Iterator[Path]:
    """A session, and a folder for what Tune insists on writing; both are gone afterwards.

    A session that this process has already is used and left as it is. A cluster at `address` is joined and left.

    Args:
        cpus: cores of a session of its own.
        gpus: GPUs of a session of its own.

    Raises:
        UserError: there is no such cluster, or it lets nobody in.
    """
    with _silence_ray(), folder() as place:
        if has_session():
            yield place
            return
        try:
            with _keep_handlers():
                if address is not None:
                    _join(address)
                else:
                    _start(place, cpus, gpus)
            yield place
        finally:
            with _keep_handlers():
                ray.shutdown()
                if address is None:
                    _end_processes_of(place)


def _join(address: str) -> None:
    for joins in range(1, _JOINS + 1):
        try:
            with warnings.catch_warnings(action="ignore"):  # the error says the same
                ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL, configure_logging=False)
            return
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            if _NOT_FORKED in str(error) and joins < _JOINS:
                log.warning("%s could not begin a server for this command: tried again", address)
                ray.shutdown()
                continue
            why = f"cannot be joined ({' '.join(str(error).split())[:300]})"
            raise UserError("--address", address, "auto or HOST:PORT of a cluster that runs", why=why) from error


def _start(folder: Path, cpus: int, gpus: int) -> None:
    """A session on loopback alone, with a token of its own, without dashboard and without statistics.

    Ray answers on every network unless it believes that the machine can be no part of a cluster, which on Linux is
    told by a constant alone: 127.0.0.1 as the node's address it replaces by another.
    """
    changes = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
    if not {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & set(os.environ):
        changes["RAY_AUTH_TOKEN"] = _TOKEN
    with set_environment(changes), _replace_attribute(ray_constants, "ENABLE_RAY_CLUSTER", False):
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            configure_logging=False,
            _temp_dir=str(folder),
        )
    found: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    if found not in _LOOPBACK:
        raise RuntimeError(f"Ray listens on {found}, which others could reach")


@contextlib.contextmanager
def _silence_ray() -> Iterator[None]:
    """Nothing of Ray's reaches the terminal; what matters to a search is told by its outcomes.

    What Ray tells of its nodes it would print on standard output, whatever one says about logs.
    """
    logger = logging.getLogger("ray")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        with _replace_attribute(ray._private.worker, "print_to_stdstream", _log_message):
            yield
    finally:
        logger.setLevel(before)


def _log_message(message: dict[str, Any], *_: Any, **__: Any) -> None:
    for line in message["lines"]:
        log.debug("Ray: %s", line)


@contextlib.contextmanager
def _replace_attribute(module: ModuleType, name: str, value: Any) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextlib.contextmanager
def _keep_handlers() -> Iterator[None]:
    """Ray installs a handler for SIGTERM; ours stay."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def folders() -> set[Path]:
    """The temporary folders of all sessions, those included that were killed and have left theirs."""
    return set(_place().glob(f"{_PREFIX}*"))


def _place() -> Path:
    """Where temporary folders are, if the names of Ray's sockets in there, 103 bytes at most, leave room for it."""
    place = Path(tempfile.gettempdir())
    return place if len(str(place)) <= _LONGEST_PLACE else Path("/tmp")  # noqa: S108 - as Ray has it itself


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for temporary files that is removed afterwards; those of killed sessions are removed before."""
    for stale in folders():
        _remove_unless_used(stale)
    made = Path(tempfile.mkdtemp(dir=_place(), prefix=_PREFIX))
    lock = filelock.FileLock(made / ".lock", timeout=0)
    lock.acquire()
    try:
        yield made
    finally:
        lock.release()
        shutil.rmtree(made, ignore_errors=True)


def _remove_unless_used(folder: Path) -> None:
    if not (folder / ".lock").exists():  # just being made
        return
    try:
        with filelock.FileLock(folder / ".lock", timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
    except (filelock.Timeout, OSError):
        return  # in use, or another user's


def _end_processes_of(folder: Path) -> None:
    """Kill what is left of a session, which is something only if its beginning was interrupted."""
    left = [child for child in psutil.Process().children(recursive=True) if _belongs(child, folder)]
    for child in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()
    psutil.wait_procs(left, timeout=3)


def _belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        return any(str(folder) in argument for argument in process.cmdline())
    except psutil.Error:
        return False
