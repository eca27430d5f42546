"""Ray's client, outside the cluster: Tune's loop runs in the cluster, and asks the search in this process."""

from __future__ import annotations

import asyncio
from typing import Any

import ray

from nas.executors.ray_tune.adapters import Course, Over, run_tune
from nas.executors.ray_tune.cluster import folder
from nas.executors.ray_tune.serialization import Parcel
from nas.executors.ray_tune.worker import BEGUN

_PATIENCE = 1.0
"""Seconds after which a search that is asked nothing looks whether Tune is still there."""
_OVER = "over"


class Desk:
    """An actor in the cluster that passes Tune's questions to the search, one after the other, and its answers back."""

    def __init__(self) -> None:
        self._asked: asyncio.Queue[tuple[str, tuple[Any, ...]]] = asyncio.Queue()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()

    async def ask(self, what: str, arguments: tuple[Any, ...]) -> Any:
        """Tune's question, and the search's answer."""
        await self._asked.put((what, arguments))
        return await self._answers.get()

    async def next(self, patience: float) -> tuple[str, tuple[Any, ...]] | None:
        """The next question; None if there is none for so many seconds."""
        try:
            return await asyncio.wait_for(self._asked.get(), patience)
        except TimeoutError:
            return None

    async def answer(self, value: Any) -> None:
        """To the question that was the last."""
        await self._answers.put(value)


class RemoteCourse:
    """The search as Tune's adapters see it in the cluster; see nas.executors.ray_tune.adapters.Course."""

    def __init__(self, desk: Any) -> None:
        self._desk = desk
        self._parcels: dict[str, Parcel] = {}

    def __getstate__(self) -> None:
        """Tune writes down whatever it holds; nothing of the search is its to keep."""

    def suggest(self, key: str) -> dict[str, Any] | str | None:
        """The next trial."""
        found: dict[str, Any] | str | None = self._ask("suggest", key)
        if isinstance(found, dict):
            self._parcels[key] = found["parcel"]
        return found

    def handle_step(self, key: str, result: dict[str, Any]) -> bool:
        """What a worker's step brought."""
        if BEGUN in result:
            self._parcels.pop(key).empty()
        return bool(self._ask("handle_step", key, result))

    def handle_death(self, key: str, message: str) -> None:
        """An attempt has ended by an error."""
        self._parcels.pop(key, None)
        self._ask("handle_death", key, message)

    def watch(self) -> bool:
        """Called several times a second."""
        found = self._ask("watch")
        if found == _OVER:
            raise Over
        return bool(found)

    def _ask(self, what: str, *arguments: Any) -> Any:
        return ray.get(self._desk.ask.remote(what, arguments))


def run_tune_remotely(course: Course, evaluator: list[Any], *, workers: int, cpus: int, gpus: float) -> None:
    """As nas.executors.ray_tune.adapters.run_tune, with Tune in the cluster that this process is a client of.

    What Tune has begun there ends with the client's connection, however that ends.
    """
    desk: Any = ray.remote(num_cpus=0)(Desk).remote()
    loop = ray.remote(num_cpus=0, max_retries=0)(_run_tune_there).remote(desk, evaluator, workers, cpus, gpus)
    while True:
        question = ray.get(desk.next.remote(_PATIENCE))
        if question is not None:
            what, arguments = question
            ray.get(desk.answer.remote(_answer(course, what, arguments)))
        elif ray.wait([loop], timeout=0)[0]:
            break
    ray.get(loop)


def _answer(course: Course, what: str, arguments: tuple[Any, ...]) -> Any:
    try:
        return getattr(course, what)(*arguments)
    except Over:
        return _OVER


def _run_tune_there(desk: Any, evaluator: list[Any], workers: int, cpus: int, gpus: float) -> None:
    with folder() as place:
        run_tune(RemoteCourse(desk), evaluator, str(place), workers=workers, cpus=cpus, gpus=gpus)
