"""The checkpoint of a training in full on disk, and the evaluator that goes on from it."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nas.core.errors import UserError
from nas.core.evaluator import CHECKPOINT, Evaluator
from nas.core.metric import Metric
from nas.core.trial import Measurement, Trial
from nas.study.files import write_atomically

CHECKPOINT_FILE = "checkpoint.zip"
"""Where a run keeps how far its training has come, until it has ended."""
_CONTENTS, _ARTIFACTS = "contents.json", "artifacts/"


@dataclass(frozen=True)
class TrainingProgress:
    """How far a training has come.

    Attributes:
        measurements: after every epoch so far, without their artifacts.
        artifacts: the latest of each name.
        checkpoint: what the evaluator goes on from; None at the beginning.
    """

    measurements: tuple[Measurement, ...] = ()
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    checkpoint: bytes | None = None

    @property
    def epoch(self) -> int:
        """The last epoch that was measured; 0 before the first."""
        return self.measurements[-1].epoch if self.measurements else 0

    def add(self, measurement: Measurement) -> TrainingProgress:
        """Return the progress after one more measurement, with its checkpoint where it brings one."""
        artifacts = {**self.artifacts, **measurement.artifacts}
        checkpoint = artifacts.pop(CHECKPOINT, self.checkpoint)
        return TrainingProgress((*self.measurements, replace(measurement, artifacts={})), artifacts, checkpoint)

    def replay(self) -> Iterator[Measurement]:
        """Yield all measurements so far, the last with the artifacts."""
        yield from self.measurements[:-1]
        for last in self.measurements[-1:]:
            yield replace(last, artifacts=self.artifacts)

    def write(self, path: Path) -> None:
        """Write the progress to one file, which is there whole or not at all.

        Raises:
            UserError: the disk is full, or the like; it is not the candidate that has failed.
        """
        buffer = io.BytesIO()
        plain = [{name: float(value) for name, value in m.metrics.items()} for m in self.measurements]
        contents = {
            "measurements": [{"epoch": m.epoch, "metrics": p} for m, p in zip(self.measurements, plain, strict=True)],
            "artifacts": sorted(self.artifacts),
        }
        with zipfile.ZipFile(buffer, "w") as archive:  # stored as it is, with check sums
            archive.writestr(_CONTENTS, json.dumps(contents))
            archive.writestr(CHECKPOINT, self.checkpoint or b"")
            for name, data in self.artifacts.items():
                archive.writestr(_ARTIFACTS + name, data)
        try:
            write_atomically(path, buffer.getvalue())
        except OSError as error:
            allowed = "a place that can be written to and has space left"
            raise UserError("checkpoint", str(path), allowed, why=error.strerror or str(error)) from error

    @classmethod
    def read(cls, path: Path) -> TrainingProgress:
        """Read what `write` has written; where there is no such file, nothing is done yet.

        Raises:
            UserError: the file is damaged.
        """
        if not path.is_file():
            return cls()
        try:
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
                contents = json.loads(archive.read(_CONTENTS))
                checkpoint = archive.read(CHECKPOINT)
                artifacts = {name: archive.read(_ARTIFACTS + name) for name in contents["artifacts"]}
            measurements = tuple(Measurement(one["epoch"], one["metrics"]) for one in contents["measurements"])
        except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError, RuntimeError) as error:
            why = f"is damaged ({' '.join(str(error).split())})"
            allowed = "a whole file; without it the training begins again"
            raise UserError("checkpoint", str(path), allowed, why=why) from None
        return cls(measurements, artifacts, checkpoint)


class CheckpointingEvaluator(Evaluator):
    """Trains the one candidate of a run in full, and keeps a checkpoint on disk.

    Measurements from before an interruption are yielded again as they were, and the training goes on from there. So a
    run that was interrupted has the same record as one that was not.

    Args:
        path: the file that it is kept in.
        every: how many epochs are between two checkpoints.
        show: called with every measurement of this session.
    """

    def __init__(
        self, evaluator: Evaluator, path: Path, *, every: int, show: Callable[[Trial, Measurement], None]
    ) -> None:
        self._evaluator, self._path, self._every, self._show = evaluator, path, every, show

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Those of the evaluator."""
        return self._evaluator.metrics

    def evaluate(self, trial: Trial) -> Iterator[Measurement]:
        """One measurement after every epoch, those of earlier sessions included.

        Raises:
            UserError: what was kept is damaged or of another training, or nothing can be kept.
        """
        reached = TrainingProgress.read(self._path)
        yield from reached.replay()
        for measurement in self._evaluator.train(trial, reached.checkpoint, every=self._every):
            reached = reached.add(measurement)
            if CHECKPOINT in measurement.artifacts:
                reached.write(self._path)
            self._show(trial, measurement)
            light = {name: data for name, data in measurement.artifacts.items() if name != CHECKPOINT}
            yield replace(measurement, artifacts=light)
