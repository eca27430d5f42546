"""A run's study: what it tells, to Optuna's dashboard as well, and what interrupts and kills leave of it."""

import json
import os
import urllib.request

import pytest

from nas.study.files import repair_journal
from nas.study.study import Study
from tests.parts.dashboard import dashboard


def test_the_study_tells_everything(small_run):
    study = Study.read(small_run.path)
    frozen = study._read_frozen()
    assert [trial.user_attrs["asked"] for trial in frozen] == [0, 2, 4, 6]
    assert [trial.user_attrs["told"] for trial in frozen] == [1, 3, 5, 7]
    for trial in frozen:
        assert set(trial.params) == set(json.loads(trial.user_attrs["genotype"])["content"])
        assert list(trial.intermediate_values) == [1, 2]
        assert trial.value == trial.user_attrs["mse"] == trial.intermediate_values[2]
        assert study.picture(trial.number).startswith(b"\x89PNG")


def test_half_a_line_is_cut_off_and_whole_ones_stay(tmp_path):
    journal = tmp_path / "study.journal"
    journal.write_bytes(b'{"a":1}\n{"b":2}\n{"c"')
    weights = tmp_path / "artifacts" / "weights"
    weights.mkdir(parents=True)
    (weights / ".0001.safetensors.x1y2").touch()
    (tmp_path / ".best.k2j3").mkdir()
    (tmp_path / ".best.k2j3" / "model.py").write_text("")
    os.utime(tmp_path / ".best.k2j3", (0, 0))
    for name in (".best.young", ".lock", ".notes.of.mine"):  # perhaps another process's, the run's, the user's
        (tmp_path / name).touch()
    repair_journal(journal)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"study.journal", ".lock", ".best.young", ".notes.of.mine", "artifacts"}
    assert not list(weights.iterdir())
    assert journal.read_bytes() == b'{"a":1}\n{"b":2}\n'
    repair_journal(journal)
    assert journal.read_bytes() == b'{"a":1}\n{"b":2}\n'


def test_an_interrupt_waits_until_the_journal_is_written(tmp_path, monkeypatch):
    import signal

    from nas.testing.toys import LOSS, ToySpace

    study = Study.create(tmp_path / "run", ToySpace(), (LOSS,), {})
    written = []

    def interrupted(*arguments):
        signal.raise_signal(signal.SIGINT)
        written.append(arguments)

    monkeypatch.setattr(study._storage, "set_study_user_attr", interrupted)
    outside = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            study.note("name", "value")
        assert len(written) == 1
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, outside)
    study.close()


def test_the_dashboard_opens_it_as_it_is(small_run):
    with dashboard(small_run) as root:
        with urllib.request.urlopen(f"{root}/api/studies/0") as answer:
            trials = json.load(answer)["trials"]
        assert len(trials) == 4
        attributes = {a["key"]: a["value"] for a in trials[0]["user_attrs"]}
        assert {"genotype", "parents", "outcome", "reason", "origin"} <= set(attributes)
        picture = trials[0]["artifacts"][0]
        address = f"{root}/artifacts/0/{trials[0]['trial_id']}/{picture['artifact_id']}"
        with urllib.request.urlopen(address) as answer:
            assert answer.read().startswith(b"\x89PNG")
