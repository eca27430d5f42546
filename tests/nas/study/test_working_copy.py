"""Runs at URLs: copied back as they grow, brought up to date anywhere, never overwritten."""

import shutil

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import nas
from nas.core.errors import GoneOnElsewhere, NotCopied
from nas.study.remote import urls
from nas.study.remote import working_copy as remote
from nas.study.study import JOURNAL
from tests.parts.remote_runs import Store, Toy, at_store, die, files, move_to, resume, search, warnings

pytestmark = pytest.mark.usefixtures("stores")

# -- copied back


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_a_run_is_at_its_url_whole(scheme, tmp_path):
    url = f"{scheme}://{tmp_path}/kept/runs"
    run = search(url, trials=3, keep_weights=2)
    assert run.path.parent == urls.find_runs_folder(url)
    assert urls.find_url(run.path) == f"{url}/run"
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
    assert not urls.find_runs_folder("flaky://runs").is_dir() or not files(urls.find_runs_folder("flaky://runs"))


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
    assert nas.open_run(urls.find_run_folder("memory://runs/run")).finished


LINES = st.lists(st.sampled_from([b'{"op_code": 2}\n', b'{"op_code": 6}\n', b'{"op_code": 8}\n']), max_size=4)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shared=LINES, ours=LINES, theirs=LINES, half=st.sampled_from([b"", b'{"op_co']))
def test_the_longer_of_two_journals_wins_and_no_end_of_a_trial_is_lost(shared, ours, theirs, half, tmp_path):
    path = urls.find_run_folder("memory://law/run")
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
