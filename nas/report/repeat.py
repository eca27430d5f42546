"""How to repeat a run: its command, its configuration, its data and what it was made with."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from nas.config import OPTIONS, RunConfig
from nas.report.facts import Facts

_NOT_GIVEN = {"name", "runs_dir", "from_", "genotype", "proposals", "checkpoint_every"}
_PAIRS = ("pin", "restrict", "set", "stop_set")


def describe_repeating(facts: Facts) -> dict[str, Any]:
    """What a page says of repeating: the command, the configuration as YAML, the data, what it was made with."""
    run = facts.run
    path = run.path / "environment.json"
    environment = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {
        "command": make_command(run.config),
        "configuration": run.config.to_yaml(),
        "fingerprint": run.study.notes.get("data", ""),
        "environment": environment,
        "seed": run.config.seed,
        "started": run.study.started_at().replace("T", " "),
    }


def make_command(config: RunConfig) -> str:
    """The command that asks for the same: options that are as they would be anyway are left out.

    Of the training of one architecture it needs the genotype in a file of its own.
    """
    trained = config.genotype is not None
    words = ["nas", "train", "GENOTYPE.json"] if trained else ["nas", "search"]
    usual = RunConfig.checked({})
    for option, field in OPTIONS.items():
        value = getattr(config, field)
        if (
            field in _NOT_GIVEN
            or value == getattr(usual, field)
            or (trained and field in ("trials", "strategy", "usual", "finalists"))
        ):
            continue
        words += _format_option(option, field, value)
    return " ".join(words)


def _format_option(option: str, field: str, value: Any) -> list[str]:
    flag = f"--{option}"
    if field in _PAIRS and isinstance(value, Mapping):
        pairs = [(name, ",".join(map(str, v)) if isinstance(v, list) else v) for name, v in value.items()]
        return [word for name, v in pairs for word in (flag, shlex.quote(f"{name}={v}"))]
    if isinstance(value, bool):
        return [flag if value else f"--no-{option}"]
    if field == "objective":
        return [word for name in value for word in (flag, shlex.quote(str(name)))]
    if isinstance(value, list):
        return [flag, shlex.quote(",".join(map(str, value)))]
    return [flag, shlex.quote(str(value))]
