"""A genotype: the plain, immutable text that says what a candidate is."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas.core.errors import InvalidGenotype

canonical_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode
"""Writes JSON as genotypes are written."""


@dataclass(frozen=True)
class Genotype:
    """What a candidate is, as canonical JSON text; equality, hash and id come from the text alone.

    Attributes:
        text: one JSON object with the keys ``content``, ``space`` and ``version``, keys sorted, no blanks.
    """

    text: str

    @classmethod
    def of(cls, space: str, version: int, content: Mapping[str, Any]) -> Genotype:
        """The genotype of `space` (and the version of its encoding) with this JSON content."""
        document = {"space": space, "version": version, "content": content}
        return cls(canonical_text(document))

    @classmethod
    def written(cls, space: str, version: int, content: dict[str, Any], text: str) -> Genotype:
        """As `of`, where it is known already what `text` the content has between its braces; its keys are sorted."""
        name = canonical_text(space)
        genotype = cls(f'{{"content":{{{text}}},"space":{name},"version":{version}}}')
        genotype.__dict__["_document"] = {"content": content, "space": space, "version": version}  # not parsed again
        return genotype

    @classmethod
    def parse(cls, text: str) -> Genotype:
        """Read a genotype from any JSON text of it.

        Raises:
            InvalidGenotype: not JSON, or not an object with exactly the three keys.
        """
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidGenotype("genotype", f"not JSON: {error}") from None
        if not isinstance(document, dict) or set(document) != {"space", "version", "content"}:
            raise InvalidGenotype("genotype", "must be an object with the keys content, space and version")
        if not isinstance(document["space"], str) or type(document["version"]) is not int:
            raise InvalidGenotype("genotype", "space must be a text and version a whole number")
        if not isinstance(document["content"], dict):
            raise InvalidGenotype("content", "must be an object")
        return cls.of(document["space"], document["version"], document["content"])

    @functools.cached_property
    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.text)
        return document

    @property
    def space(self) -> str:
        """The name of the space it belongs to."""
        return str(self._document["space"])

    @property
    def version(self) -> int:
        """The version of that space's encoding."""
        return int(self._document["version"])

    @property
    def content(self) -> Mapping[str, Any]:
        """The space's own description of the candidate; do not change it."""
        content: Mapping[str, Any] = self._document["content"]
        return content

    @functools.cached_property
    def id(self) -> str:
        """Ten hexadecimal digits that name it, the same in every process."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:10]

    def list_changes(self, other: Genotype) -> dict[str, tuple[Any, Any]]:
        """List what is decided otherwise in another genotype, each with both values; None where one does not decide."""
        here, there = self.content, other.content
        sites = dict.fromkeys([*here, *there])
        return {site: (here.get(site), there.get(site)) for site in sites if here.get(site) != there.get(site)}

    def __str__(self) -> str:
        return self.text
