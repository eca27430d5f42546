"""``nas init``: a configuration to begin with, written for a user's data."""

from __future__ import annotations

import json

from nas.config import RunConfig
from nas.core.space import Restrictable
from nas.session.assembly import assemble

_BIG_SIDE, _SHOWN = 64, 8


def write_starting_config(config: RunConfig) -> str:
    """Write YAML that ``nas search --config`` takes, with what was found in the data, and what is worth changing.

    Lines that begin with ``#`` and a name are options as they are by default, or examples.

    Raises:
        UserError: the data cannot be used in the space.
    """
    parts = assemble(config)
    data, kind = parts.data, parts.data.domains[0].kind
    others = [name for name in parts.evaluator.objectives if name != parts.objectives[0].name]
    shape = " x ".join(map(str, data.shape))
    lines = [
        f"# A search on {data.name}: {kind}s of {shape}, {data.counts}.",
        *(f"#   {note}" for domain in data.domains for note in domain.notes),
        "#",
        "# nas search --config THIS_FILE begins it. What is said on the command line wins over this file,",
        "# and nas search --help lists every option. Delete the # before a line to use it.",
        "",
        f"space: {config.space}",
        f"dataset: {_quote(config.dataset)}",
        *([f"dataset-b: {_quote(config.dataset_b)}"] if config.dataset_b else []),
    ]
    if kind == "image":
        side = min(_BIG_SIDE, max(data.shape[1:]))
        lines.append(
            f"#image-size: {side}  # smaller images are searched faster; models serve the size that is searched"
        )
    if any(domain.classes for domain in data.domains):
        named = ", ".join(data.domains[0].classes[:12])
        lines += [f"# labels: {named}", f"#normal: [{_quote(data.domains[0].classes[0])}]  # train on these alone"]
    lines += [
        "",
        "# How long: a number of candidates, or the time of all.",
        "trials: 30",
        "#time-limit: 30m",
        f"objective: [{parts.objectives[0].name}]",
        f"# others, several of which make a front: {', '.join(others)}",
        "",
        "# How it searches: nas strategies lists the ways.",
        f"strategy: {config.strategy}",
        "seed: 0",
        "#workers: 2  # so many candidates side by side, each in a process of its own",
        "",
        f"# What is searched: nas spaces {config.space} lists all decisions. restrict leaves some of the values, one",
        "# alone fixes a decision. Delete the # before restrict and before the decisions that you want.",
        "#restrict:",
    ]
    choices = parts.space.choices().values() if isinstance(parts.space, Restrictable) else ()
    for choice in [one for one in choices if len(one.values) > 1][:_SHOWN]:
        lines.append(f"#  {choice.site}: [{', '.join(json.dumps(value) for value in choice.values)}]")
    lines += ["", "# Where it is kept.", "#name: my-search", "#runs-dir: runs", ""]
    return "\n".join(lines)


def _quote(text: str) -> str:
    """A text as YAML that is read as that text: JSON is YAML."""
    return json.dumps(text, ensure_ascii=False)
