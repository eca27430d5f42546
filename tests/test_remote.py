"""Runs at URLs: copied back as they grow, read from anywhere, never overwritten, never led out of their folder."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nas
from nas import remote, urls
from nas.cli import run as cli
from nas.config import RunConfig
from nas.core.errors import GoneOnElsewhere, NotCopied
from nas.core.evaluator import WEIGHTS
from nas.core.trial import Measurement
from nas.study import JOURNAL
from nas.testing.toys import ToyEvaluator, ToySpace
from tests.command_line import QUICK, finished, process
from tests.test_interrupted import kill_when


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


@pytest.fixture(autouse=True)
def _fresh(tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr("nas.report.html.render", lambda run: f"{len(run.trials)} trials")  # its figures take a second
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "here"))
    monkeypatch.setattr(Store, "fails", 0)
    monkeypatch.setattr(Toy, "at", {})
    for store in (Store, MemoryFileSystem):
        store.store.clear()
        store.pseudo_dirs[:] = [""]


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
    return [record.getMessage() for record in caplog.records if record.name == "nas.remote"]


def said(capsys, *arguments):
    capsys.readouterr()
    code = cli(list(arguments))
    return code, *capsys.readouterr()


# -- copied back


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_run_is_at_its_url_whole(scheme, tmp_path):
    url = f"{scheme}://{tmp_path}/kept/runs"
    run = search(url, trials=3, keep_weights=2)
    assert run.path.parent == urls.runs_folder(url)
    assert urls.url_of(run.path) == f"{url}/run"
    there = at_store(f"{url}/run")
    assert there == files(run.path)
    assert {"config.yaml", "environment.json", JOURNAL, "report.html"} <= set(there)
    weights = [name for name in there if name.startswith("artifacts/weights/")]
    assert len(weights) == 2  # the third was removed there as well
    if scheme == "file":  # which is an ordinary run
        assert nas.open_run(tmp_path / "kept/runs/run").best.number == run.best.number


def test_each_trial_is_there_when_it_has_ended_and_its_files_before_the_journal_names_them(monkeypatch):
    seen, order = [], []

    def look():
        there = at_store("flaky://runs/run")
        seen.append((there[JOURNAL].count(b'"told"'), sum("weights" in name for name in there)))

    put = Store.pipe_file
    monkeypatch.setattr(Store, "pipe_file", lambda self, path, *a, **k: (order.append(path), put(self, path, *a, **k)))
    Toy.at = {number: look for number in range(3)}
    search("flaky://runs", trials=3)
    assert seen == [(0, 0), (1, 1), (2, 2)]
    for number in range(3):
        at = order.index(f"/runs/run/artifacts/weights/{number:04d}.safetensors")
        assert JOURNAL not in order[at - 1] or number
        assert f"/runs/run/{JOURNAL}" in order[at:]
    assert order.count("/runs/run/config.yaml") == 1  # what has not changed is not copied again


def test_killed_it_is_gone_on_with_from_the_url_alone_as_if_it_had_not_been(tmp_path):
    whole = search(tmp_path / "runs", trials=8)
    Toy.at = {5: die}
    with pytest.raises(KeyboardInterrupt):
        search("flaky://runs", trials=8)
    shutil.rmtree(tmp_path / "here")  # the machine is lost
    Store.fails, Toy.at = 0, {}
    resumed = resume("flaky://runs/run")
    assert [t.genotype for t in resumed.trials] == [t.genotype for t in whole.trials]
    assert [t.metrics for t in resumed.trials] == [t.metrics for t in whole.trials]
    assert resumed.finished
    assert at_store("flaky://runs/run") == files(resumed.path)
    assert resumed.study.weights_path(1).read_bytes() == b"weights 1"


def test_a_store_that_is_away_for_a_moment_is_tried_again(caplog):
    Toy.at = {1: lambda: setattr(Store, "fails", 2)}
    run = search("flaky://runs", trials=3)
    assert at_store("flaky://runs/run") == files(run.path)
    assert not warnings(caplog)


def test_a_store_that_is_away_for_longer_is_warned_of_and_gets_everything_later(caplog):
    def away():
        Store.fails = -1

    def back():
        assert b'"told", "value": 1' not in at_store("flaky://runs/run")[JOURNAL]
        Store.fails = 0

    Toy.at = {1: away, 3: back}
    run = search("flaky://runs", trials=4)
    assert len(warnings(caplog)) == 2
    for warning in warnings(caplog):
        assert "flaky://runs/run cannot be written to (ConnectionError: the store is away)" in warning
    assert at_store("flaky://runs/run") == files(run.path)


def test_what_is_missing_at_the_end_is_an_error_and_lost_nowhere(tmp_path, monkeypatch):
    Toy.at = {1: lambda: setattr(Store, "fails", -1)}
    with pytest.raises(NotCopied, match=f"cannot be written to .*the whole run is in {tmp_path}") as error:
        search("flaky://runs")
    assert "\n" not in str(error.value)
    Store.fails = 0
    assert nas.open_run(error.value.path).finished
    again = resume("flaky://runs/run")
    assert [t.outcome.kind for t in again.trials] == ["complete"] * 2
    assert at_store("flaky://runs/run") == files(again.path)


def test_what_goes_astray_at_the_url_is_there_again_at_the_end():
    def lose():  # as a mount that comes and goes
        MemoryFileSystem().rm("/runs/run/artifacts", recursive=True)

    Toy.at = {2: lose}
    run = search("memory://runs", trials=4)
    assert at_store("memory://runs/run") == files(run.path)


@pytest.mark.parametrize("fault", ["fails", "read_only"])
def test_a_place_that_cannot_be_written_to_is_refused_before_anything_runs(fault, monkeypatch, tmp_path):
    monkeypatch.setattr(Store, fault, -1 if fault == "fails" else True)
    Toy.at = {0: pytest.fail}
    with pytest.raises(nas.UserError, match=r"--runs-dir 'flaky://runs': cannot be (read|written to) .*away|Denied"):
        search("flaky://runs")
    assert not urls.runs_folder("flaky://runs").is_dir() or not files(urls.runs_folder("flaky://runs"))


def test_a_name_that_is_taken_there_is_refused(monkeypatch, tmp_path):
    search("memory://runs")
    move_to("elsewhere", monkeypatch, tmp_path)
    with pytest.raises(nas.UserError, match=r"--name 'run': this run exists; allowed: .* memory://runs"):
        search("memory://runs")


# -- brought up to date


def test_two_machines_can_take_turns(monkeypatch, tmp_path):
    first = search("memory://runs")
    move_to("there", monkeypatch, tmp_path)
    second = resume("memory://runs/run", trials=4)
    assert second.path != first.path
    move_to("here", monkeypatch, tmp_path)
    assert len(nas.open_run("memory://runs/run").trials) == 4
    assert files(first.path) == files(second.path)
    third = resume("memory://runs/run", trials=5)
    assert third.path == first.path
    assert at_store("memory://runs/run") == files(first.path)


def test_what_was_removed_elsewhere_is_removed_here_and_what_was_lost_here_comes_back(monkeypatch, tmp_path):
    first = search("memory://runs", keep_weights=1)
    move_to("there", monkeypatch, tmp_path)
    kept = {path.name for path in resume("memory://runs/run", trials=8).path.glob("artifacts/weights/*")}
    move_to("here", monkeypatch, tmp_path)
    nas.open_run("memory://runs/run")
    assert {path.name for path in first.path.glob("artifacts/weights/*")} == kept
    shutil.rmtree(first.path / "artifacts")
    nas.open_run("memory://runs/run")
    assert at_store("memory://runs/run") == files(first.path)


def test_only_what_has_changed_is_fetched(monkeypatch):
    search("memory://runs")
    read = []
    fetch = MemoryFileSystem.cat_file
    monkeypatch.setattr(MemoryFileSystem, "cat_file", lambda self, path, **k: (read.append(path), fetch(self, path))[1])
    nas.open_run("memory://runs/run")
    assert read == []
    MemoryFileSystem.store["/runs/run/note.txt"] = MemoryFileSystem().open("/runs/run/note.txt", "wb", data=b"x")
    run = nas.open_run("memory://runs/run")
    assert read == ["/runs/run/note.txt"]
    assert (run.path / "note.txt").read_bytes() == b"x"


def test_a_machine_that_lost_nothing_finished_takes_what_another_did(monkeypatch, tmp_path):
    Toy.at = {3: die}
    with pytest.raises(KeyboardInterrupt):
        search("flaky://runs", trials=5)  # its journal has a trial more that has begun
    Store.fails, Toy.at = 0, {}
    move_to("there", monkeypatch, tmp_path)
    other = resume("flaky://runs/run")
    move_to("here", monkeypatch, tmp_path)
    assert files(nas.open_run("flaky://runs/run").path)[JOURNAL] == files(other.path)[JOURNAL]


def test_what_this_machine_works_on_is_looked_at_as_it_is_here():
    seen = []
    Toy.at = {1: lambda: seen.append([t.outcome is None for t in nas.open_run("memory://runs/run").trials])}
    search("memory://runs")
    assert seen == [[False, True]]  # at the URL the second has not begun


def gone_on_twice(monkeypatch, tmp_path):
    """A run whose third trial ended on two machines; gives the folder on the first, which has not copied it."""
    run = search("flaky://runs")
    Toy.at = {2: lambda: setattr(Store, "fails", -1)}
    with pytest.raises(NotCopied):
        resume("flaky://runs/run", trials=3)
    Store.fails, Toy.at = 0, {}
    move_to("there", monkeypatch, tmp_path)
    resume("flaky://runs/run", trials=4)
    move_to("here", monkeypatch, tmp_path)
    return run.path


def test_two_machines_that_have_both_gone_on_are_told_apart(monkeypatch, tmp_path):
    path = gone_on_twice(monkeypatch, tmp_path)
    before, here = at_store("flaky://runs/run"), files(path)
    for attempt in (nas.open_run, resume):
        with pytest.raises(nas.UserError, match=f"RUN 'flaky://runs/run': has gone on there, .*move {path} away"):
            attempt("flaky://runs/run")
    with pytest.raises(GoneOnElsewhere, match="has gone on from elsewhere"):
        resume(path)
    assert at_store("flaky://runs/run") == before
    assert files(path).keys() >= here.keys()
    path.rename(tmp_path / "aside")
    assert len(nas.open_run("flaky://runs/run").trials) == 4


def test_a_run_that_another_machine_goes_on_with_meanwhile_is_not_overwritten(caplog):
    def elsewhere():
        fs = MemoryFileSystem()
        fs.pipe_file("/runs/run/" + JOURNAL, fs.cat_file("/runs/run/" + JOURNAL) + b'{"op_code": 2}\n')

    Toy.at = {1: elsewhere}
    with pytest.raises(GoneOnElsewhere):
        search("memory://runs", trials=4)
    assert ["nothing more is copied" in warning for warning in warnings(caplog)] == [True]
    assert at_store("memory://runs/run")[JOURNAL].endswith(b'{"op_code": 2}\n')
    assert nas.open_run(urls.run_folder("memory://runs/run")).finished


LINES = st.lists(st.sampled_from([b'{"op_code": 2}\n', b'{"op_code": 6}\n', b'{"op_code": 8}\n']), max_size=4)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shared=LINES, ours=LINES, theirs=LINES, half=st.sampled_from([b"", b'{"op_co']))
def test_the_longer_of_two_journals_wins_and_no_end_of_a_trial_is_lost(shared, ours, theirs, half, tmp_path):
    path = urls.run_folder("memory://law/run")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    fs = MemoryFileSystem()
    one, other = [b"{}\n", *shared, *ours], [b"{}\n", *shared, *theirs]
    (path / JOURNAL).write_bytes(b"".join(one) + half)
    fs.pipe_file("/law/run/" + JOURNAL, b"".join(other))
    alike = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    both_finished = alike < len(other) and any(b"6" in line for line in one[alike:])
    try:
        remote.bring_up_to_date(path)
        remote.copy_back(path)
    except nas.UserError:
        assert both_finished
        assert (path / JOURNAL).read_bytes() == b"".join(one) + half
        assert fs.cat_file("/law/run/" + JOURNAL) == b"".join(other)
    else:
        assert not both_finished
        winner = b"".join(one if alike == len(other) else other)
        assert (path / JOURNAL).read_bytes().removesuffix(half) == winner
        assert fs.cat_file("/law/run/" + JOURNAL) == winner


# -- names that lead elsewhere


@pytest.mark.parametrize("name", ["../escaped", "artifacts/../../escaped", "a\\..\\escaped", "..", "artifacts/./x"])
def test_nothing_is_written_outside_the_working_copy(name, tmp_path, monkeypatch):
    search("memory://runs")
    MemoryFileSystem.store[f"/runs/run/{name}"] = MemoryFileSystem().open("/x", "wb", data=b"escaped")
    move_to("there", monkeypatch, tmp_path)
    with pytest.raises(nas.UserError, match=r"RUN 'memory://runs/run': has .* a name that leads elsewhere"):
        nas.open_run("memory://runs/run")
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.read_bytes() == b"escaped"]


def test_a_listing_of_other_places_is_refused(monkeypatch, tmp_path):
    search("flaky://runs")
    monkeypatch.setattr(Store, "lies", ({"name": "/etc/passwd", "size": 1, "type": "file"},))
    with pytest.raises(nas.UserError, match="'/etc/passwd'"):
        nas.open_run("flaky://runs/run")


def test_a_link_in_the_working_copy_is_not_followed(tmp_path):
    run = search("memory://runs")
    (tmp_path / "mine").mkdir()
    (run.path / "sub").symlink_to(tmp_path / "mine")
    MemoryFileSystem().pipe_file("/runs/run/sub/x", b"escaped")
    with pytest.raises(nas.UserError, match="without links"):
        nas.open_run("memory://runs/run")
    assert not list((tmp_path / "mine").iterdir())


def test_locks_and_hidden_files_of_a_store_stay_there(monkeypatch, tmp_path):
    search("memory://runs")
    for name in (".lock", "study.journal.lock", ".copied.json", "best/__pycache__/model.pyc"):
        MemoryFileSystem().pipe_file(f"/runs/run/{name}", b"hostile")
    move_to("there", monkeypatch, tmp_path)
    path = nas.open_run("memory://runs/run").path
    assert not [p for p in path.rglob("*") if p.is_file() and p.read_bytes() == b"hostile"]


# -- URLs


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://bucket/runs", "--runs-dir 's3://bucket/runs': .*s3fs.*pip install s3fs"),
        ("nothing://x", "--runs-dir 'nothing://x': fsspec knows no protocol 'nothing'; allowed: a folder, or a URL"),
        ("://x", "fsspec knows no protocol ''"),
        ("simplecache::memory://x", "fsspec knows no protocol"),
        ("ftp://me:sesame@host/runs", r"--runs-dir 'ftp://...@host/runs': has a password or a query in it"),
        ("memory://runs?token=sesame", r"--runs-dir 'memory://runs': has a password or a query in it"),
        ("memory://" + "x" * 300, "is too long"),
        (Path("s3://bucket/runs"), "must be given as text"),
    ],
)
def test_bad_urls_are_told_in_a_line_before_anything_is_written(url, message, tmp_path, capsys):
    with pytest.raises(nas.UserError, match=message) as error:
        search(url)
    assert "sesame" not in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
    if isinstance(url, str):
        for command in (["search"], ["list"], ["show", "x"]):
            code, _, err = said(capsys, *command, "--runs-dir", url)
            assert (code, err.count("\n"), "sesame" in err) == (2, 1, False)
        assert said(capsys, "show", url + "/run")[0] == 2


def test_a_url_is_one_place_and_one_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert urls.runs_folder("memory://a/b/") == urls.runs_folder("memory://a/b")
    assert urls.runs_folder("file://runs") == urls.runs_folder(f"file://{tmp_path}/runs") != Path("runs")
    assert urls.run_folder("memory://a/b/run") == urls.runs_folder("memory://a/b") / "run"
    assert urls.run_folder("memory:///run") == urls.runs_folder("memory:///") / "run"
    assert urls.url_of(urls.run_folder("memory://run")) == "memory://run"
    assert urls.url_of(tmp_path) is None
    assert urls.url_of(tmp_path / "here" / "runs" / "faces") is None  # NAS_DATA_DIR/runs as an ordinary folder of runs
    assert urls.runs_folder("runs") == Path("runs")
    for url in ("memory://a/..", "memory://a/.hidden", "memory://"):
        with pytest.raises(nas.UserError, match="the URL of a run"):
            urls.run_folder(url)


@given(st.text(st.characters(exclude_characters="?@\0", exclude_categories=["Cs"]), max_size=15))
def test_every_url_is_got_back_from_its_folder(text):
    folder = urls.runs_folder(f"memory://runs/{text}")
    assert urls.url_of(folder) == f"memory://runs/{text}".rstrip("/")
    assert folder.parent == urls.runs_folder("memory://x").parent


def test_a_configuration_takes_urls_and_keeps_none(tmp_path):
    config = RunConfig.checked({"runs_dir": "memory://runs"})
    assert config.runs_dir == urls.runs_folder("memory://runs")
    assert "memory" not in config.to_yaml()
    assert not list(tmp_path.iterdir())


# -- the command line


def test_every_command_takes_urls(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nas.export.FORMATS", ("python",))  # the others take their time
    quick = ["--train-size", "64", "--epochs", "1", *QUICK[4:], "--trials", "1"]
    code, out, err = said(capsys, "search", "--runs-dir", "memory://lab/runs", "--name", "ae", "--json", *quick)
    assert code == 0, err
    document = json.loads(out)
    assert document["url"] == "memory://lab/runs/ae"
    assert "run memory://lab/runs/ae" in err
    there = at_store("memory://lab/runs/ae")
    assert {"best/model.py", "best/weights.safetensors", "report.html"} <= set(there)
    assert nas.open_run("memory://lab/runs/ae").tested == document["best"]["test"]

    MemoryFileSystem().pipe_file("/lab/runs/else/notes.txt", b"no run")
    move_to("there", monkeypatch, tmp_path)
    code, out, err = said(capsys, "list", "--runs-dir", "memory://lab/runs", "--json")
    assert [(one["run"], one["state"]) for one in json.loads(out)] == [("ae", "ended")]
    assert err == ""
    copy = urls.run_folder("memory://lab/runs/ae")
    assert set(files(copy)) == set(remote.RECORD)  # a list needs no weights
    shown = [said(capsys, "show", *which)[:2] for which in
             (["memory://lab/runs/ae"], ["ae", "--runs-dir", "memory://lab/runs"], [str(copy)])]  # fmt: skip
    assert {code for code, _ in shown} == {0}
    assert len({out for _, out in shown}) == 1
    assert files(copy) == there

    code, out, err = said(capsys, "export", "memory://lab/runs/ae", "--part", "autoencoder", "--format", "python")
    assert code == 0, err
    code, out, err = said(capsys, "resume", "memory://lab/runs/ae", "--trials", "2", "-q")
    assert code == 0, err
    assert at_store("memory://lab/runs/ae") == files(copy)
    code, out, err = said(capsys, "show", "memory://lab/runs/ae:0")
    assert (code, err.count("\n")) == (2, 1)
    from nas.finding import architecture_from, run_and_trial

    assert run_and_trial("memory://lab/runs/ae:1", tmp_path) == (copy, 1)
    assert architecture_from("memory://lab/runs/ae:1", tmp_path, "--from").number == 1


def test_runs_that_are_not_there_are_told_by_their_urls(capsys, tmp_path, monkeypatch):
    code, _, err = said(capsys, "list", "--runs-dir", "memory://runs")
    assert (code, err) == (0, "no runs in memory://runs; begin one with: nas search\n")
    for command in (["show"], ["resume"], ["export"]):
        code, _, err = said(capsys, *command, "memory://runs/none")
        assert (code, err.count("\n")) == (2, 1)
        assert "RUN 'memory://runs/none': does not exist" in err
    run = search("memory://runs")
    code, _, err = said(capsys, "show", "rum", "--runs-dir", "memory://runs")
    assert (code, "did you mean 'run'" in err) == (2, True)
    MemoryFileSystem().rm("/runs/run", recursive=True)
    code, _, err = said(capsys, "show", "memory://runs/run")
    assert code == 2
    assert f"does not exist any more; what was copied of it here lies in {run.path}" in err
    assert said(capsys, "list", "--runs-dir", "memory://runs", "--json")[1] == "[]\n"


def test_interrupted_it_names_the_url_and_what_is_missing_has_an_exit_code(capsys):
    parts = ["--space", "nas.testing.toys:ToySpace", "--evaluator", "tests.test_remote:Toy", "--train-size", "64"]
    from tests import test_remote  # as the command line imports it

    test_remote.Toy.at = {1: stop}
    code, _, err = said(capsys, "search", "--runs-dir", "flaky://runs", "--name", "a", "--trials", "3", *parts)
    assert (code, "Go on with: nas resume flaky://runs/a" in err) == (130, True)
    test_remote.Toy.at = {1: lambda: setattr(Store, "fails", -1)}
    code, _, err = said(capsys, "resume", "flaky://runs/a", "-q")
    assert code == 5
    assert err.splitlines()[-1].startswith("nas: flaky://runs/a cannot be written to")
    Store.fails = 0
    assert said(capsys, "resume", "flaky://runs/a", "-q")[0] == 0


@pytest.mark.slow
def test_killed_with_its_machine_lost_it_goes_on_from_the_url(tmp_path, monkeypatch):
    url, options = f"file://{tmp_path}/kept", ["--trials", "4", "--json", "--set", "population=2", *QUICK]
    code, _, err = finished("search", "--name", "whole", *options, cwd=tmp_path)
    assert code == 0, err
    running = process("search", "--name", "cut", "--runs-dir", url, *options, cwd=tmp_path)
    kill_when(running, tmp_path / "kept" / "cut", 2, signal.SIGKILL)
    running.communicate()
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path / "there"))
    code, out, err = finished("resume", f"{url}/cut", "--json", cwd=tmp_path)
    assert code == 0, err
    assert json.loads(out)["trials"]["complete"] == 4
    whole, resumed = (nas.open_run(tmp_path / which).trials for which in ("runs/whole", "kept/cut"))
    assert [t.genotype for t in resumed] == [t.genotype for t in whole]
    assert [t.metrics["mse"] for t in resumed] == [t.metrics["mse"] for t in whole]


def test_a_training_is_copied_with_each_checkpoint(monkeypatch):
    from tests.test_train import PARTS as TRAINED
    from tests.test_train import TOY

    seen = []
    monkeypatch.setattr(remote, "copy_back", lambda path, **k: seen.append((path / "checkpoint.zip").is_file()))
    nas.train(TOY, 3, runs_dir="memory://runs", name="t", **TRAINED)
    assert seen.count(True) == 3 + 1  # and once more at the end of the trial


def test_a_training_goes_on_from_the_url_alone(monkeypatch, tmp_path):
    from nas.checkpoint import FILE, Reached
    from tests.test_train import PARTS as TRAINED
    from tests.test_train import TOY

    copy, lives = remote.copy_back, [2]

    def until(path, **options):
        if lives[0]:
            copy(path, **options)
            lives[0] -= (path / FILE).is_file()
        if not lives[0]:
            raise KeyboardInterrupt

    monkeypatch.setattr(remote, "copy_back", until)
    with pytest.raises(KeyboardInterrupt):
        nas.train(TOY, 4, runs_dir="memory://runs", name="t", **TRAINED)
    monkeypatch.setattr(remote, "copy_back", copy)
    shutil.rmtree(tmp_path / "here")
    assert Reached.read(remote.located("memory://runs/t") / FILE).epoch == 2
    run = nas.resume("memory://runs/t", **TRAINED)
    assert [m.epoch for m in run.trials[0].measurements] == [1, 2, 3, 4]
    assert FILE not in at_store("memory://runs/t")


def test_help_imports_no_fsspec():
    program = "import sys; from nas.cli import run; run(['search', '--help']); print('fsspec' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "False"
