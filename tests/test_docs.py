"""The documentation holds together: links lead somewhere, pages are in the site, code is that of the examples."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", ROOT / "runs" / "README.md",
         *sorted(DOCS.rglob("*.md"))]  # fmt: skip


def read(page):
    """A page's text without its blocks of code, in which brackets are no links."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?m)^    .*$", "", text)


def anchors(page):
    """The anchors of a page's headings, as GitHub and Markdown's toc make them."""
    headings = re.findall(r"^#+ (.*)$", read(page), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_to_files_and_headings(page):
    text = re.sub(r"`[^`]*`", "", read(page))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), f"{page.name} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors(linked), f"{page.name} links to {target}, which has no such heading"


def names_in(entries):
    for entry in entries:
        for value in entry.values() if isinstance(entry, dict) else (entry,):
            yield from names_in(value) if isinstance(value, list) else (value,)


def test_the_site_has_every_page_and_no_other():
    class Loader(yaml.SafeLoader):
        """Takes MkDocs' own tags for nothing."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/name", lambda loader, suffix, node: suffix)
    site = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)
    named = list(names_in(site["nav"]))
    assert len(named) == len(set(named))
    assert set(named) == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}


def test_the_site_fetches_nothing():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "font: false" in text
    assert not re.search(r"extra_(css|javascript)|analytics|https?://(?!github|squidfunk)", text)


@pytest.mark.parametrize("page", sorted((DOCS / "how-to").glob("*.md")), ids=lambda page: page.stem)
def test_code_of_an_example_is_that_of_the_file(page):
    for name, code in re.findall(r"^```python title=\"(.*?)\"\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        assert code.strip() in (ROOT / name).read_text(), f"{page.name} shows what {name} does not say"


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 120
