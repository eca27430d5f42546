"""The model card that lies beside an exported model."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import jinja2

from nas.core.evaluator import Deliverable
from nas.core.genotype import Genotype
from nas.core.metric import format_value
from nas.core.space import Shape


@dataclass(frozen=True)
class Card:
    """What is told of a model. Texts may hold anything: they are escaped."""

    title: str
    description: str
    genotype: Genotype
    shape: Shape
    kind: str
    dataset: str
    parts: str
    notes: tuple[str, ...]
    objectives: tuple[str, ...]
    metrics: Mapping[str, float]
    test: Mapping[str, float]
    hyperparameters: Mapping[str, str | int | float | bool]
    epochs: int
    seed: int
    strategy: str
    run: str
    trial: int
    on_front: bool = False
    pruned: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    protocol: Mapping[str, str | int | float] = field(default_factory=dict)

    @property
    def dimensions(self) -> str:
        """What the numbers of `shape` count, in words."""
        return _DIMENSIONS[self.kind]


_DIMENSIONS = {"image": "channels, height, width", "vector": "numbers", "sequence": "channels, steps"}


def _escape_markdown(text: object) -> str:
    """Text that Markdown and HTML show as it is, on one line."""
    line = " ".join(str(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|#])", r"\\\1", line)


def _indent_code(genotype: Genotype) -> str:
    """An indented block: nothing inside it can end it."""
    pretty = json.dumps(json.loads(genotype.text), indent=2)
    return "\n".join("    " + line for line in pretty.splitlines())


def escape_docstring(text: str) -> str:
    """Escape a text so that it cannot end the docstring it stands in."""
    text = text.encode(errors="replace").decode()  # file names may hold surrogates
    return " ".join(text.split()).replace("\\", "\\\\").replace('"', "'")


def print_literal(value: object) -> str:
    """Print data as a Python literal of a text in JSON, on lines of at most 100 characters.

    Whatever texts it holds, none of them can end the literal: JSON of ASCII alone has its quotes escaped by `repr`.
    """
    text = json.dumps(value)
    lines = [text[start : start + 100] for start in range(0, len(text), 100)]
    return "\n    ".join(map(repr, lines))


def make_environment() -> jinja2.Environment:
    """The templates of this package. What they make is Python or Markdown, whose own filters escape it."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("nas.export"),
        autoescape=False,  # noqa: S701 - not HTML
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {
        "md": _escape_markdown,
        "number": format_value,
        "code": _indent_code,
        "in_docstring": escape_docstring,
        "literal": print_literal,
    }
    return made


def render_card(card: Card, formats: Sequence[str], part: Deliverable) -> str:
    """The card of a part of a model as Markdown."""
    return make_environment().get_template("README.md.jinja").render(card=card, formats=formats, part=part)
