"""Shared by all tests: one thread each, and a small data set."""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import nas
from nas.data.dataset import Dataset
from nas.data.source import UnsplitData

torch.set_num_threads(1)

SMALL = {"network": "fully_connected", "hidden_width": 64, "batch_size": 16, "stages": 1, "decoder": "mirrored"}
"""Decisions of an autoencoder that is quickly trained."""


def tiny_data(side: int = 8, channels: int = 1, count: int = 96) -> Dataset:
    """Soft blobs, made at once: as learnable as digits and quicker."""
    from nas.data.dataset import Split
    from nas.data.splitting import split_data

    generator = np.random.default_rng(0)
    y, x = np.mgrid[0:side, 0:side]
    centres = generator.uniform(1, side - 2, (count, 2, 1, 1))
    blobs = np.exp(-((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2) / 3)
    images = (blobs[:, None].repeat(channels, 1) * 255).astype(np.uint8)
    return split_data("tiny", UnsplitData(Split(torch.from_numpy(images))), seed=0, train_size=None)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Extractors and downloads of the tests are not the user's; processes that tests start are told as well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NAS_DATA_DIR", str(tmp_path_factory.getbasetemp().parent / "cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_finals() -> Iterator[None]:
    """A search of a test ends when its trials have ended, unless the test asks for finalists."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.session.assembly.DEFAULT_FINALISTS", 0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_examinations() -> Iterator[None]:
    """Nothing is judged by its uses at the end of a run, unless the test asks for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.session.execution.evaluate_best", lambda run, best, until: None)
        yield


@pytest.fixture(scope="session")
def tiny() -> Dataset:
    return tiny_data()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extractors that are hardly trained."""
    from evaluators.features import extractor as features
    from tests.parts.extractors import SHORT

    monkeypatch.setattr(features, "RECIPES", SHORT)


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs of few images make nothing that varies: here nothing counts as collapsed."""
    for name in ("LEAST_DEVIATION", "LEAST_MODES", "LEAST_COVERAGE"):
        monkeypatch.setattr(f"evaluators.adversarial.collapse.{name}", 0.0)


def draw_no_report(patch: pytest.MonkeyPatch) -> None:
    """Nothing is drawn at the end of a run."""
    patch.setattr("nas.session.execution.write_report", lambda run: None)


@pytest.fixture
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `draw_no_report` says, in this test."""
    draw_no_report(monkeypatch)


@pytest.fixture
def no_export(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is exported at the end of a run, which takes longer than a small run itself."""
    monkeypatch.setattr("nas.session.execution.export_model", lambda run, candidate: None)


def export_only_python(patch: pytest.MonkeyPatch) -> None:
    """Runs end with an export as Python source alone; the other formats take their time."""
    patch.setattr("nas.session.delivery.FORMATS", ("python",))


@pytest.fixture
def only_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `export_only_python` says, in this test."""
    export_only_python(monkeypatch)


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores in memory that are empty and answer, and working copies of runs in ``here``, of this test alone."""
    from fsspec.implementations.memory import MemoryFileSystem

    from nas.study.remote import working_copy as remote
    from tests.parts.remote_runs import Store, Toy

    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr("nas.report.html.render", lambda run: f"{len(run.trials)} trials")  # its figures take a second
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "here"))
    monkeypatch.setattr(Store, "fails", 0)
    monkeypatch.setattr(Toy, "at", {})
    for store in (Store, MemoryFileSystem):
        store.store.clear()
        store.pseudo_dirs[:] = [""]


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> nas.Run:
    """Four trials of small autoencoders, without a report; to be looked at and not to be gone on with."""
    with pytest.MonkeyPatch.context() as patch:
        export_only_python(patch)
        draw_no_report(patch)
        return nas.search(data=tiny_data(), trials=4, epochs=2, pin=SMALL, runs_dir=tmp_path_factory.mktemp("runs"))


Said = tuple[int, str, str]
"""A command's exit code, and what it wrote to the standard output and error."""


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """`tests.parts.command_line.said` in an empty folder."""
    from tests.parts.command_line import said

    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    importlib.invalidate_caches()
    return functools.partial(said, capsys)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """The folder in which a whole search has run in a process of its own, and what it wrote; not to be changed."""
    from tests.parts.command_line import QUICK, finished

    folder = tmp_path_factory.mktemp("runs")
    code, out, err = finished(
        "search", "--trials", "5", "--finalists", "0", "--name", "five", "--json", *QUICK, cwd=folder
    )
    assert code == 0, err
    return folder, out, err


@pytest.fixture(scope="module")
def nothing_delivered(small_run):
    """Searches of toys end without a test, an export and a report; `small_run`, which has them, is made before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nas.session.execution.deliver_best", lambda run, best: None)
        yield
