"""How a search goes on, as the command line shows it."""

from nas.cli.display import Display


def test_where_more_trials_come_than_were_expected_no_time_is_left():
    shown = Display(silent=True)
    shown._total, shown._began = 4, 0.0  # of trials, and by a clock that has gone on since
    assert shown._format_left(4) == "0:00 left"
    assert shown._format_left(5) == "0:00 left"


def test_with_a_time_limit_the_rest_of_it_is_left_finals_included(monkeypatch):
    shown = Display(silent=True)
    shown._total, shown._began, shown._limit = 4, 100.0, 240.0
    monkeypatch.setattr("nas.cli.display.time.monotonic", lambda: 165.0)
    assert shown._format_left(4) == "2:55 left"
