"""Names that the shell completes with Tab: of spaces, strategies, data sets, runs and trials."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from nas.registry import Kind

_SHELLS = {
    "bash": (".bashrc", 'eval "$(_NAS_COMPLETE=bash_source nas)"'),
    "zsh": (".zshrc", 'eval "$(_NAS_COMPLETE=zsh_source nas)"'),
    "fish": (".config/fish/completions/nas.fish", "_NAS_COMPLETE=fish_source nas | source"),
}
"""What completes names, and the file below the user's home that it belongs in."""

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def complete(kind: Kind) -> Complete:
    """Complete the names of the registry's things of a kind; what else may be said, module:Class, is left alone."""

    def list_names(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from nas import registry

        return [CompletionItem(name) for name in registry.names(kind) if name.startswith(incomplete)]

    return list_names


def complete_data_set(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete names of data sets, and the paths behind those that have one, as ``folder:pic``."""
    from nas.data.catalogue import data_set_names

    source, colon, path = incomplete.partition(":")
    patterns = [name.partition(":") for name in data_set_names()]
    if colon and (source, "PATH") in [(name, argument) for name, _, argument in patterns]:
        typed = Path(path or ".")
        folder = typed if path.endswith("/") or not path else typed.parent
        found = sorted(folder.expanduser().glob("*")) if folder.expanduser().is_dir() else []
        start = path[: len(path) - len(path.rpartition("/")[2])]
        shown = [f"{start}{one.name}{'/' if one.is_dir() else ''}" for one in found]
        return [CompletionItem(f"{source}:{one}") for one in shown if one.startswith(path)]
    names = [name + (colon if argument else "") for name, colon, argument in patterns]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_preset(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of presets."""
    from nas.presets import list_presets

    return [CompletionItem(name) for name in list_presets() if name.startswith(incomplete)]


def complete_run(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the names of the runs in the folder of runs."""
    from nas.session.lookup import list_runs

    folder = ctx.params.get("runs_dir") or "runs"
    if "://" in str(folder):  # a key pressed does not go over the network
        return []
    return [CompletionItem(path.name) for path in list_runs(Path(folder)) if path.name.startswith(incomplete)]


def complete_trial(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete RUN[:TRIAL]: names of runs, and after a colon the trials that ended well, the best first."""
    run, colon, trial = incomplete.partition(":")
    if not colon:
        return complete_run(ctx, parameter, incomplete)
    from nas.core.errors import UserError
    from nas.session.lookup import find_run, open_run

    try:
        opened = open_run(find_run(run, Path(ctx.params.get("runs_dir") or "runs")))
    except UserError:  # no such run: there is nothing to complete
        return []
    numbers = [str(one.number) for one in opened.ranked()]
    return [CompletionItem(f"{run}:{number}") for number in numbers if number.startswith(trial)]


def install_completion(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    """Add the line that completes names with Tab to the configuration of the user's shell, once, and exit.

    Raises:
        UserError: the shell is none of bash, zsh and fish.
    """
    if not wanted or ctx.resilient_parsing:
        return
    from nas.core.errors import UserError

    shell = Path(os.environ.get("SHELL", "")).name
    if shell not in _SHELLS:
        why = f"the shell, by the variable SHELL, is {shell or 'not known'}"
        raise UserError("--install-completion", shell, ", ".join(_SHELLS), why=why)
    file, line = Path.home() / _SHELLS[shell][0], _SHELLS[shell][1]
    if file.is_file() and line in file.read_text(encoding="utf-8").splitlines():
        click.echo(f"{file} has it already")
    else:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f"\n# names of nas, completed with Tab\n{line}\n")
        click.echo(f"added to {file}: {line}\nIt works in shells that are opened from now on.")
    ctx.exit()
