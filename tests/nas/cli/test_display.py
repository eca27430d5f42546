"""How a run goes on, as the command line shows it: a bar on a terminal, a line a trial elsewhere."""

import io

import pytest
from rich.console import Console

import nas
from nas.cli.display import Display
from nas.session.arguments import configure_search
from nas.session.start import start_run
from tests.conftest import tiny_data
from tests.parts.reported_runs import Told

OPTIONS = {"epochs": 2, "early_stopping": "none", "strategy": "random", "evaluate": False}


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """What is shown of a search of toys."""
    monkeypatch.setattr("nas.session.execution.deliver_best", lambda run, best: None)

    def search(*, terminal, silent=False, **options):
        from nas.testing.toys import ToySpace

        display = Display(silent=silent)
        display._console = Console(file=io.StringIO(), force_terminal=terminal, width=500, highlight=False)
        given = {**OPTIONS, "runs_dir": tmp_path, **options}
        config, objects = configure_search(ToySpace(), tiny_data(), None, given.pop("strategy"), Told, None, given)
        start_run(config, given=objects, progress=display)
        display.close()
        return display._console.file.getvalue()

    return search


def test_where_there_is_no_terminal_each_trial_is_a_line(shown):
    said = shown(terminal=False, trials=8, finalists=0)
    assert "\x1b" not in said
    assert "\r" not in said
    lines = [line for line in said.splitlines() if "/8 trial " in line]
    assert len(lines) == 8
    assert all(line.endswith(" left") for line in lines)
    assert lines[-1].endswith("; 0:00 left")
    assert "best loss" in lines[-1]


def test_a_terminal_has_a_bar_with_the_best_and_the_time_left(shown):
    said = shown(terminal=True, trials=8, finalists=0)
    assert "8/8" in said
    assert "best loss" in said
    assert " left" in said
    assert "trial 0 complete" not in said  # only failures have lines
    assert "trial 6 diverged" in said


def test_nothing_is_shown_where_nothing_is_wanted(shown):
    assert shown(terminal=True, silent=True, trials=2, finalists=0) == ""


def test_epochs_of_a_training_that_are_quick_do_not_each_have_a_line(tmp_path, capsys, monkeypatch):
    from nas.cli import run as command

    monkeypatch.setattr("nas.session.execution.deliver_best", lambda run, best: None)
    options = {"data": "digits", "train_size": 60, "pin": {"network": "fully_connected"}, "finalists": 0}
    run = nas.search(trials=1, epochs=1, name="found", runs_dir=tmp_path, evaluate=False, **options)
    assert command(["train", str(run.path), "--epochs", "40", "--runs-dir", str(tmp_path)]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if "/40 " in line]
    assert lines[0].startswith("1/40 ")
    assert lines[-1].startswith("40/40 ")
    assert len(lines) < 20
    assert lines[-1].endswith("; 0:00 left")
