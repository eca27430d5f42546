"""Runs as the layout before this one wrote them: they are shown, resumed and exported."""

import json
import shutil
from pathlib import Path

import pytest

import nas
from nas.session.delivery import export_model, write_report
from nas.study.study import Study

RUNS = Path(__file__).parents[2] / "fixtures" / "runs"
COUNTS = {
    "autoencoder": {"complete": 6, "stopped": 0, "failed": 0},
    "cyclegan": None,
    "darts": None,
    "front": {"complete": 4, "stopped": 0, "failed": 0},
    "gan": None,
    "portions": {"complete": 8, "stopped": 0, "failed": 0},
    "pruned": {"complete": 2, "stopped": 0, "failed": 0, "pruned_versions": 1},
    "shared": None,
    "stopped": None,
    "training": {"complete": 1, "stopped": 0, "failed": 0},
}


@pytest.fixture
def earlier(tmp_path):
    def copied(name):
        return Path(shutil.copytree(RUNS / name, tmp_path / name))

    return copied


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_an_earlier_run_can_be_shown(name, earlier):
    run = nas.open_run(earlier(name))
    assert run.trials
    assert all(trial.outcome is not None for trial in run.trials)
    assert run.ranked() or run.counts()["failed"] == len(run.trials)
    if COUNTS[name] is not None:
        assert run.counts() == COUNTS[name]
    assert all(run.space.describe(trial.genotype, run.shape) for trial in run.trials)


@pytest.mark.parametrize("name", ["autoencoder", "pruned", "gan", "training"])
def test_an_earlier_run_can_be_exported_and_reported(name, earlier, tmp_path):
    run = nas.open_run(earlier(name))
    folder = export_model(run, directory=tmp_path / "model", formats=("python",))
    assert (folder / "model.py").is_file()
    assert write_report(run).stat().st_size > 1000


def test_an_earlier_run_goes_on_with_the_values_it_would_have_had(earlier):
    """The strategy's record is replayed, and the next trial is the one that a longer run of that version made."""
    path = earlier("autoencoder")
    before = nas.open_run(path).trials
    after = nas.resume(path, trials=7).trials
    assert [trial.genotype for trial in after[:6]] == [trial.genotype for trial in before]
    expected = json.loads((RUNS / "autoencoder-trial-6.json").read_text())
    assert after[6].genotype.text == expected["genotype"]
    assert after[6].metrics["mse"] == pytest.approx(expected["mse"], rel=1e-4)  # processors differ in the last bits


def test_an_earlier_record_is_replayed_by_every_kind_of_strategy(earlier):
    for name in ("front", "stopped"):
        path = earlier(name)
        study = Study.reopen(path)
        try:
            assert study.history()
        finally:
            study.close()
