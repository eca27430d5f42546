"""Toy runs at URLs of stores in memory, which can be made to fail, and what such runs hold here and there."""

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

import nas
from nas.core.evaluator import WEIGHTS
from nas.core.trial import Measurement
from nas.testing.toys import ToyEvaluator, ToySpace


class Store(MemoryFileSystem):
    """A store in memory that does not answer where it is told to, and may lie about what is in it."""

    protocol = "flaky"
    store, pseudo_dirs = {}, [""]
    fails = 0
    """How many of the next calls fail; below 0 all do."""
    read_only = False
    lies = ()

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.removeprefix("flaky://"))

    def _answer(self):
        if Store.fails:
            Store.fails -= 1
            raise ConnectionError("the store is away")

    def ls(self, path, detail=True, **kwargs):
        self._answer()
        return [*super().ls(path, detail=detail, **kwargs), *Store.lies]

    def info(self, path, **kwargs):
        self._answer()
        return super().info(path, **kwargs)

    def pipe_file(self, path, value, **kwargs):
        self._answer()
        if Store.read_only:
            raise PermissionError("Access Denied")
        super().pipe_file(path, value, **kwargs)


fsspec.register_implementation("flaky", Store)


class Toy(ToyEvaluator):
    """A toy with weights and a picture, that does something at the beginning of a trial where it is told to."""

    at = {}  # noqa: RUF012 - set by tests

    def __init__(self, space, data, *, epochs, device):
        super().__init__(space, epochs=epochs)

    def evaluate(self, trial):
        Toy.at.get(trial.number, lambda: None)()
        *first, last = super().evaluate(trial)
        yield from first
        files = {WEIGHTS: b"weights %d" % trial.number, "picture.png": b"picture %d" % trial.number}
        yield Measurement(last.epoch, last.metrics, artifacts=files)


PARTS = {"space": ToySpace, "evaluator": Toy}
OPTIONS = {"data": "digits", "train_size": 64, "epochs": 2, "set": {"population": 3}, "early_stopping": "none"}


def search(url, trials=2, name="run", **options):
    return nas.search(trials=trials, name=name, runs_dir=url, **PARTS, **OPTIONS, **options)


def resume(url, trials=None):
    return nas.resume(url, trials=trials, space=ToySpace(), evaluator=Toy)


def move_to(place, monkeypatch, tmp_path):
    """Another machine, or back on the first, ``here``: it has a cache of its own."""
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / place))


def stop():
    raise KeyboardInterrupt


def die():
    """What a kill leaves: nothing is copied any more."""
    Store.fails = -1
    raise KeyboardInterrupt


def files(folder):
    """The run's own files by their names, and what they hold."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in found
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def at_store(url):
    fs, root = fsspec.core.url_to_fs(url)
    return {name.removeprefix(root + "/"): fs.cat_file(name) for name in fs.find(root)}


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "nas.study.remote.working_copy"]
