"""What a notebook shows of a run: whole, escaped, needing nothing else, and nothing of it before it is asked for."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import nas
from nas.report.facts import encode_png
from tests.conftest import draw_no_report
from tests.parts.reported_runs import HOSTILE, Told, search_toys

_VOID = {"img", "rect", "circle", "path", "polyline", "polygon"}


class Part(HTMLParser):
    """Elements with their attributes and text, all closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in _VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        draw_no_report(patch)
        return search_toys(tmp_path_factory.mktemp("toys"), trials=12)


def test_a_run_shows_its_curve_its_best_and_a_short_table(run):
    drawn = run._repr_html_()
    part = Part(drawn)
    assert part.elements[0] == ("div", {"class": "nas"})
    assert f"run.best is trial {run.best.number}" in part.text
    assert encode_png(Told.picture) in drawn
    assert 'class="line best"' in drawn
    assert len([tag for tag, _ in part.elements if tag == "tr"]) == 1 + 5
    assert run.best.description in part.text
    assert len(drawn) < 60_000


def test_it_needs_nothing_else_and_touches_nothing_else(run):
    drawn = run._repr_html_()
    part = Part(drawn)
    tags = {tag for tag, _ in part.elements}
    assert not tags & {"script", "link", "iframe", "object"}
    for _, attributes in part.elements:
        assert not [name for name in attributes if name.startswith("on") or name in ("href", "id")]
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
    style = re.search(r"<style>(.*?)</style>", drawn, re.DOTALL)[1]
    assert "url(" not in style
    rules = re.sub(r"@media[^{]*\{|\}\s*$", "", style).split("}")
    for selector in (one for rule in rules for one in rule.partition("{")[0].split(",") if one.strip()):
        assert selector.strip().startswith(".nas")


def test_all_that_users_and_candidates_say_is_escaped(run, monkeypatch):
    monkeypatch.setattr(type(run.space), "describe", lambda self, genotype, shape: HOSTILE)
    monkeypatch.setattr(type(run), "data_name", HOSTILE)
    drawn = run._repr_html_()
    assert "<img src=x" not in drawn
    part = Part(drawn)
    assert part.text.count(HOSTILE) >= 1 + 5
    assert not [attributes for _, attributes in part.elements if "onerror" in attributes]


def test_a_front_is_drawn_where_there_are_several_objectives(tmp_path, monkeypatch):
    draw_no_report(monkeypatch)
    run = search_toys(tmp_path, trials=8, objective=["loss", "parameters"], strategy="random")
    drawn = run._repr_html_()
    assert 'class="mark front"' in drawn
    assert "on the front" in Part(drawn).text


@pytest.mark.usefixtures("no_report")
def test_a_run_without_a_result_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(Told, "evaluate", lambda self, trial: (_ for _ in ()).throw(ValueError(HOSTILE)))
    run = search_toys(tmp_path, trials=2)
    text = Part(run._repr_html_()).text
    assert "Trials: 0 complete, 2 failed" in text
    assert "run.best" not in text


def test_a_comparison_shows_its_curves_and_what_came_of_it(run, tmp_path, monkeypatch):
    draw_no_report(monkeypatch)
    found = nas.compare([run, search_toys(tmp_path, "other", trials=6, strategy="random")])
    drawn = found._repr_html_()
    part = Part(drawn)
    assert all(sentence in part.text for sentence in found.describe())
    assert 'class="line c2"' in drawn


def test_plain_text_is_one_line(run):
    assert repr(run) == f"Run({str(run.path)!r})"
    assert repr(run.best) == f"Candidate({str(run.path)!r}, trial {run.best.number})"


def test_charts_and_templates_are_not_imported_before_something_is_drawn():
    code = (
        "import nas.api, sys; print([m for m in sys.modules if m.startswith(('jinja2', 'nas.report.', 'torchvision'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd(), check=True)
    assert done.stdout.strip() == "[]"
