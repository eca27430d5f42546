"""In a real browser: the dashboard shows a run and what its trials are, and a report opens without an error."""

import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

import nas
from nas.session.delivery import write_report

FIXTURES = Path(__file__).parents[2] / "fixtures" / "runs"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"none of {', '.join(NAMES)} is on the PATH")


def browse(url, profile, seconds=2):
    """Open a page, and give what it has become after so many seconds of its own time, and what its console says."""
    asked = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
        "--disable-background-networking", "--no-first-run",
        f"--user-data-dir={profile}", f"--virtual-time-budget={1000 * seconds}", url,
    ]  # fmt: skip
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def read_words(page):
    """What a page says to people."""
    text = re.sub(r"<(style|script).*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", text)).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "a small run"
    return nas.open_run(Path(shutil.copytree(FIXTURES / "autoencoder", folder)))


@pytest.fixture(scope="module")
def dashboard(run):
    command = [sys.executable, "-m", "nas", "dashboard", run.path.name, "--port", "0"]
    with subprocess.Popen([*command, "--runs-dir", str(run.path.parent)], stdout=subprocess.PIPE, text=True) as server:
        yield server.stdout.readline().strip()
        server.terminate()


def test_the_dashboard_shows_the_run_and_what_its_trials_are(run, dashboard, tmp_path):
    root = dashboard.partition("/dashboard/")[0]
    best = run.best
    page, errors = browse(f"{dashboard}/trials?numbers={best.number}", tmp_path)
    words = read_words(page)
    assert f"{run.path.name} (id=0)" in words
    assert f"Trial {best.number} " in words
    assert best.description in words
    assert f"nas show {run.path.name} --trial {best.number}" in words
    assert not errors
    noted = dict(re.findall(r'<img alt="([^"]+)"[^>]* src="([^"]+)"', page))  # those of the note
    assert list(noted) == ["reconstructions.png", "cells.svg"]

    drawing, errors = browse(root + noted["cells.svg"], tmp_path)
    assert drawing.startswith("<svg")
    assert "encoder cell" in read_words(drawing)
    assert "parsererror" not in drawing
    assert not errors


def test_a_report_opens_without_an_error(run, tmp_path):
    page, errors = browse(write_report(run, tmp_path / "report.html").as_uri(), tmp_path / "profile")
    assert not errors
    assert f"The best model: trial {run.best.number}" in read_words(page)
    assert 'id="theme" type="button" aria-label' in page  # its script has run
