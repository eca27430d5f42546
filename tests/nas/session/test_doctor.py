"""``nas doctor`` finds what is missing or broken, says how to mend it, and tries what a search does."""

import importlib.metadata
import json
import sys

import pytest

from nas.cli import run as nas
from nas.session import doctor
from nas.session.doctor import Finding, examine_installation


def found(check, findings):
    return next(one for one in findings if one.check == check)


def test_a_sound_installation_has_nothing_wrong(tmp_path, capsys):
    assert nas(["doctor", "--quick", "--json", "--runs-dir", str(tmp_path)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["wrong"] == []
    assert {"torch", "ray", "threads", "folder of runs"} <= {one["check"] for one in document["findings"]}


def test_what_is_missing_comes_with_its_remedy(tmp_path, monkeypatch, capsys):
    real = importlib.metadata.version

    def version(name):
        if name == "optuna":
            raise importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert nas(["doctor", "--quick", "--runs-dir", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "WRONG  optuna: is not installed; mend it: pip install optuna" in out
    assert out.splitlines()[-1] == "wrong: optuna"


def test_what_need_not_be_there_is_noted_with_what_it_is_for(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(doctor, "_list_devices", lambda: [])
    findings = list(examine_installation(tmp_path))  # and no session of Ray is tried
    assert [one.state for one in findings if one.check.lower() == "ray"] == ["note"]
    assert found("ray", findings).remedy == "pip install 'ray[default,tune]'"


def test_a_folder_that_cannot_be_used_is_wrong(tmp_path):
    (tmp_path / "file").write_text("")
    finding = found("folder of runs", examine_installation(tmp_path / "file", quick=True))
    assert (finding.state, bool(finding.remedy)) == ("wrong", True)


def test_more_threads_than_cores_are_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "count_cores", lambda: 0)
    assert found("threads", examine_installation(tmp_path, quick=True)).state == "wrong"


@pytest.mark.usefixtures("only_python")
def test_a_tiny_search_is_tried_and_what_it_raises_is_told(monkeypatch):
    finding = doctor._attempt("cpu", doctor._train, "cpu")
    assert finding.state == "ok"
    assert "model.py" in finding.detail

    def fail(device):
        raise ValueError("two\nlines")

    assert doctor._attempt("cpu", fail, "cpu") == Finding(
        "cpu", "wrong", "two lines", "please report it with this line"
    )
