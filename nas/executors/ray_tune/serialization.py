"""How trials are sent to Ray's workers, and the tensors that they start from put into its object store."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import replace
from typing import Any, Self

import ray

from nas.core.trial import Trial

_MOST_KEPT = 16
"""So many different starts are kept there: a population's parents, or one supernet."""


class Parcel:
    """A trial on its way to a worker. Tune copies and keeps configurations; this it neither copies nor keeps.

    Args:
        start: where the tensors lie that the trial starts from, which it then comes without.
    """

    def __init__(self, trial: Trial, start: Any = None) -> None:
        self._trial: Trial | None = trial
        self._start = start

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __repr__(self) -> str:
        return "Parcel()"  # Tune makes names of it

    def unpack(self) -> Trial:
        """Return the whole trial, and empty the parcel.

        Raises:
            ray.exceptions.RayError: what it starts from is lost.
        """
        trial, place = self._trial, self._start
        assert trial is not None
        self.empty()
        if place is None or trial.start is None:
            return trial
        return replace(trial, start=replace(trial.start, tensors=ray.get(place)))

    def empty(self) -> None:
        """Forget the trial, which has arrived or is over."""
        self._trial = self._start = None


class Packer:
    """Puts what trials start from into the object store, once for all those that start from the same."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, Any] = OrderedDict()  # the latest last

    def pack(self, trial: Trial) -> Parcel:
        """Pack a trial, to be sent."""
        if trial.start is None:
            return Parcel(trial)
        tensors = trial.start.tensors
        key = hashlib.sha256(tensors).digest()
        if key not in self._kept:
            self._kept[key] = ray.put(tensors)
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)  # a parcel that is on its way keeps its own
        return Parcel(replace(trial, start=replace(trial.start, tensors=b"")), self._kept[key])
