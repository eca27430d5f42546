"""The page of a run: whole, escaped, forbidden the network, and readable by machines that read to people."""

import base64
import hashlib
import itertools
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

import nas
from nas.report.facts import encode_png
from nas.report.html import render
from tests.conftest import draw_no_report
from tests.parts.reported_runs import HOSTILE, Told, draw_picture, search_toys

RUNS = Path(__file__).parents[2] / "fixtures" / "runs"
_VOID = {"meta", "img", "rect", "circle", "path", "polyline", "polygon", "br", "input"}


class Page(HTMLParser):
    """Elements with their attributes and text, and whether all that was opened was closed in turn."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(scope="module")
def toys(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        draw_no_report(patch)
        return search_toys(tmp_path_factory.mktemp("toys"))


@pytest.fixture(scope="module")
def html(toys):
    return render(toys)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.mark.parametrize("name", sorted(path.name for path in RUNS.iterdir() if path.is_dir()))
def test_runs_of_earlier_versions_are_drawn(name, tmp_path):
    run = nas.open_run(Path(shutil.copytree(RUNS / name, tmp_path / name)))
    page = Page(render(run))
    assert "How to repeat it" in page.text
    assert len(page.all("h1")) == 1
    if run.ranked():
        assert f"The best model: trial {run.best.number}" in page.text
        assert "Its network, layer by layer" in page.text


def test_the_page_may_fetch_nothing_and_run_what_is_its_own_alone(html, page):
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; img-src data:; ")
    for tag, rule in (("style", "style-src"), ("script", "script-src")):
        (held,) = re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", html, re.DOTALL)
        assert f"{rule} 'sha256-{base64.b64encode(hashlib.sha256(held.encode()).digest()).decode()}'" in policy
    assert not any("style" in attributes for _, attributes in page.elements)  # the policy would ignore them
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    links = [a[key] for _, a in page.elements for key in ("src", "href") if key in a]
    assert links
    assert all(link.startswith("data:image/png;base64,") for link in links)


def test_what_users_and_candidates_say_is_escaped(html, page):
    assert HOSTILE in page.text
    assert "<img src=x" not in html
    assert not [image for image in page.all("img") if image["src"] == "x"]


def test_every_figure_has_a_text_and_every_table_header_a_scope(page):
    drawn = [svg for svg in page.all("svg") if svg.get("aria-hidden") != "true"]
    assert drawn
    assert all(svg["role"] == "img" and svg["aria-label"] for svg in drawn)
    assert all(head["scope"] in ("col", "row") for head in page.all("th"))
    assert all("alt" in image for image in page.all("img"))
    assert page.all("html") == [{"lang": "en"}]
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_the_answer_comes_first_and_all_trials_are_there(toys, page):
    assert page.text.index("The best model") < page.text.index("How the search went") < page.text.index("All trials")
    assert f"Trials: {toys.counts()['complete']} complete, 4 failed, of 30 asked for." in page.text
    assert len(page.all("tr")) > 30
    assert page.text.count("diverged") >= 4
    assert "parameters" in page.text
    assert "nas search --space" in page.text


def test_a_page_holds_no_more_pictures_than_it_may_and_says_so(tmp_path, monkeypatch, no_report):
    monkeypatch.setattr("nas.report.trial_table._PICTURES", 2 * len(encode_png(draw_picture())))
    run = search_toys(tmp_path, trials=5)
    text = render(run)
    assert text.count("data:image/png") == 1 + 2
    assert "3 pictures are left out" in text


@pytest.mark.slow
def test_two_hundred_trials_with_pictures_stay_under_five_megabytes(tmp_path, monkeypatch, no_report):
    noisy = bytes(range(256)) * 180  # nobody looks at it: 46 KB, as of ten colour images
    monkeypatch.setattr("os.fsync", lambda handle: None)
    monkeypatch.setattr(Told, "picture", noisy)
    run = search_toys(tmp_path, trials=200, strategy="random", epochs=1)
    page = Page(text := render(run))
    assert len(text) < 5_000_000
    assert len(page.all("table")) >= 2
    assert len([row for row in page.all("th") if "data-v" in row]) == 200


def test_a_run_without_a_result_says_so(tmp_path, no_report):
    class Failing(Told):
        def evaluate(self, trial):
            raise ValueError("no")
            yield

    run = nas.search(data="digits", train_size=50, space=search_space(), evaluator=Failing, trials=2, runs_dir=tmp_path)
    assert "No trial has come to a result yet." in render(run)


def search_space():
    from nas.testing.toys import ToySpace

    return ToySpace()
