"""What links of the pages lead to outside docs/: source files, which the site shows as pages of their own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
_OUTSIDE = re.compile(r"\]\((?:\.\./)+((?:examples|tests)/[\w/]+|Dockerfile)(\.py)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add a page for each example and each test of an example."""
    sources = [path for folder in ("examples", "tests/examples") for path in sorted((ROOT / folder).glob("*.py"))]
    sources.append(ROOT / "Dockerfile")
    for path in sources:
        name = path.relative_to(ROOT)
        kind = "python" if path.suffix else "docker"
        text = f"# {name}\n\n```{kind}\n{path.read_text(encoding='utf-8')}```\n"
        files.append(File.generated(config, f"source/{name.with_suffix('.md')}", content=text))
    listed = "\n".join(f"- [{path.name}]({path.stem}.md)" for path in sources if path.parent.parent.name == "tests")
    files.append(File.generated(config, "source/tests/examples/index.md", content=f"# tests/examples\n\n{listed}\n"))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to source files into links to their pages."""
    up = "../" * page.file.src_uri.count("/")
    return _OUTSIDE.sub(
        lambda m: f"]({up}source/{m[1]}{'.md' if m[2] or m[1] == 'Dockerfile' else '/index.md'})", markdown
    )
