"""The dashboard shows every run under its own name, notes for people, pictures; and changes nothing."""

import json
import re
import shutil
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from nas.cli import run as nas
from nas.core.errors import UserError
from nas.session.dashboard import HOST, describe_trial, draw_trial, open_dashboard
from nas.session.lookup import open_run

FIXTURES = Path(__file__).parents[2] / "fixtures" / "runs"


@contextmanager
def served(runs_dir):
    server, storage = open_dashboard(runs_dir, 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_port}", storage
    finally:
        server.shutdown()
        server.server_close()


def fetch(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()


@pytest.fixture
def runs_dir(tmp_path):
    for source in sorted(path for path in FIXTURES.iterdir() if path.is_dir())[:2]:
        shutil.copytree(source, tmp_path / source.name)
    return tmp_path


def test_runs_have_their_names_and_trials_have_notes_for_people(runs_dir):
    before = {path: path.read_bytes() for path in runs_dir.rglob("study.journal")}
    names = sorted(path.name for path in runs_dir.iterdir())
    with served(runs_dir) as (url, _):
        listed = json.loads(fetch(f"{url}/api/studies"))["study_summaries"]
        assert sorted(one["study_name"] for one in listed) == names
        for one in listed:
            run, study = (
                open_run(runs_dir / one["study_name"]),
                json.loads(fetch(f"{url}/api/studies/{one['study_id']}")),
            )
            assert run.config.strategy in study["note"]["body"]
            assert [trial["number"] for trial in study["trials"]] == [trial.number for trial in run.trials]
            for shown, trial in zip(study["trials"], run.trials, strict=True):
                assert run.candidate(trial.number).description[:20] in shown["note"]["body"]
                assert trial.outcome.kind.replace("_", " ") in shown["note"]["body"]
                assert "genotype" not in {attribute["key"] for attribute in shown["user_attrs"]}
    assert {path: path.read_bytes() for path in before} == before


def test_pictures_are_served_and_runs_that_begin_meanwhile_are_shown(runs_dir):
    with served(runs_dir) as (url, _):
        assert len(json.loads(fetch(f"{url}/api/studies"))["study_summaries"]) == 2
        shutil.copytree(next(path for path in runs_dir.iterdir()), runs_dir / "later")
        assert len(json.loads(fetch(f"{url}/api/studies"))["study_summaries"]) == 3
        found = [
            (number, trial["trial_id"], artifact["artifact_id"])
            for number in range(3)
            for trial in json.loads(fetch(f"{url}/api/studies/{number}"))["trials"]
            for artifact in trial["artifacts"]
            if artifact["filename"].endswith(".png")
        ]
        assert found
        assert fetch(f"{url}/artifacts/{'/'.join(map(str, found[0]))}").startswith(b"\x89PNG")


def test_the_cells_of_a_trial_are_drawn_in_its_note_when_they_are_looked_at(runs_dir):
    run = open_run(runs_dir / "autoencoder")
    with served(runs_dir) as (url, storage):
        number = storage.find_number(run.path)
        trials = json.loads(fetch(f"{url}/api/studies/{number}"))["trials"]
        for shown, trial in zip(trials, run.trials, strict=True):
            (link,) = re.findall(r"!\[cells\.svg\]\((.+)\)", shown["note"]["body"])
            with urllib.request.urlopen(f"{url}{link}") as answer:
                assert answer.headers["Content-Type"] == "image/svg+xml"
                assert answer.read() == draw_trial(run.path, trial)()
            assert "cells.svg" in {artifact["filename"] for artifact in shown["artifacts"]}
        other = json.loads(fetch(f"{url}/api/studies/{1 - number}"))["trials"]  # CycleGANs have no cells
        assert not any("cells.svg" in trial["note"]["body"] for trial in other)


def test_nothing_can_be_changed_and_nobody_else_is_let_in(runs_dir):
    with served(runs_dir) as (url, _):
        assert HOST == "127.0.0.1"
        for method, path in (("DELETE", "/api/studies/0"), ("PUT", "/api/studies/0/note")):
            request = urllib.request.Request(f"{url}{path}", b'{"body": "x", "version": 2}', method=method)
            request.add_header("Content-Type", "application/json")
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(request)
        assert len(json.loads(fetch(f"{url}/api/studies"))["study_summaries"]) == 2
        with pytest.raises(UserError, match="another program listens there"):
            open_dashboard(runs_dir, int(url.rpartition(":")[2]))


def test_what_a_user_has_named_is_no_html(runs_dir, monkeypatch):
    path = next(path for path in sorted(runs_dir.iterdir()))
    run = open_run(path)
    monkeypatch.setattr(type(run.candidate(None)), "description", "<img src=x>")
    assert "<img" not in describe_trial(path, run.trials[0])


def test_a_run_that_is_not_there_is_refused(runs_dir, capsys):
    assert nas(["dashboard", "nothing", "--runs-dir", str(runs_dir)]) == 2
    assert "nothing" in capsys.readouterr().err
