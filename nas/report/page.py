"""A page that needs nothing else: its style and behaviour are in it, and it may fetch nothing."""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from nas.report.words import format_count


def render_page(template: str, **values: Any) -> str:
    """Render a template that extends ``page.html.jinja``; everything that is no Markup is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nas.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    style, script = read_style("light", "page", "graph"), _read("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    page = environment.get_template(template)
    return page.render(style=Markup(style), script=Markup(script), policy=policy, count=format_count, **values)  # noqa: S704 - both are files of this package


def read_style(*names: str) -> str:
    """Read style sheets of the pages, one after another."""
    return "".join(_read(f"{name}.css") for name in names)


@functools.cache
def _read(name: str) -> str:
    return (files("nas.report") / "templates" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """How a policy names what is in the page itself."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
