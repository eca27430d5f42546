"""A page that needs nothing else: its style and behaviour are in it, and it may fetch nothing."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from nas.report.words import format_count


def render_page(template: str, **values: Any) -> str:
    """Render a template that extends ``page.html.jinja``; everything that is no Markup is escaped."""
    style, script = read_style("light", "page", "graph"), _read("page.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    values |= {"style": Markup(style), "script": Markup(script), "policy": policy}  # noqa: S704 - files of this package
    return _render(template, values)


def render_part(template: str, **values: Any) -> str:
    """Render a template that becomes a part of someone else's page, with a style that touches nothing else there."""
    return _render(template, {"style": Markup(_read("notebook.css")), **values})  # noqa: S704 - a file of this package


def _render(template: str, values: Mapping[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("nas.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template(template).render(count=format_count, **values)


def read_style(*names: str) -> str:
    """Read style sheets of the pages, one after another."""
    return "".join(_read(f"{name}.css") for name in names)


@functools.cache
def _read(name: str) -> str:
    return (files("nas.report") / "templates" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """How a policy names what is in the page itself."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
