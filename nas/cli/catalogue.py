"""``nas spaces``, ``strategies``, ``early-stopping``, ``promotion``, ``presets``, ``datasets``: what there is."""

from __future__ import annotations

import inspect
import re

import click

from nas import registry
from nas.cli.completion import complete, complete_data_set
from nas.cli.space_tree import fold_choices, list_choices
from nas.core.errors import UserError
from nas.core.space import Shapeable

_SHAPES = {"vector": "D", "sequence": "CxT", "image": "CxHxW"}


@click.command("spaces")
@click.argument("name", required=False, shell_complete=complete("space"))
@click.option(
    "--shape", help="Of an example, where decisions depend on it: 30 (columns of a table), 2x500 (a signal), 3x32x32."
)
@click.option("--all", "every", is_flag=True, help="Every decision by its own name, with no * for numbers.")
def spaces_command(name: str | None, shape: str | None, every: bool) -> None:
    """List the search spaces, or explain one."""
    if name is None:
        _list_things("space")
        return
    space = registry.make("space", name, registry.load("space", name))
    if shape is not None:
        parsed = _parse_shape(shape, space.data_kinds if isinstance(space, Shapeable) else ())
        space = space.shaped(parsed)
    click.echo(inspect.getdoc(type(space)))
    click.echo(f"\nAbout {space.size():.2g} genotypes. Decisions (--pin NAME=VALUE, --restrict NAME=A,B):\n")
    choices = space.choices().values()
    click.echo("\n".join((list_choices if every else fold_choices)(choices)))
    if not every and any(re.search(r"\d", choice.site) for choice in choices):
        click.echo("\n* stands for a number, also in --pin and --restrict; --all lists every decision.")


@click.command("strategies")
@click.argument("name", required=False, shell_complete=complete("strategy"))
def strategies_command(name: str | None) -> None:
    """List the strategies, or explain one."""
    _list_or_explain("strategy", name, "--set")


@click.command("early-stopping")
@click.argument("name", required=False, shell_complete=complete("early-stopping"))
def early_stopping_command(name: str | None) -> None:
    """List the rules of early stopping, or explain one."""
    _list_or_explain("early-stopping", name, "--stop-set")


@click.command("promotion")
@click.argument("name", required=False, shell_complete=complete("promotion"))
def promotion_command(name: str | None) -> None:
    """List the rules of promotion, or explain one."""
    _list_or_explain("promotion", name, "--set")


@click.command("datasets")
@click.argument("name", required=False, shell_complete=complete_data_set)
def datasets_command(name: str | None) -> None:
    """List the data sets, or explain one."""
    from nas.data.catalogue import data_set_names, describe_data_set

    if name is not None:
        click.echo(describe_data_set(name))
        return
    _print_lines(data_set_names())


@click.command("presets")
@click.argument("name", required=False)
def presets_command(name: str | None) -> None:
    """List the presets, or show one: options as --config takes them, for nas search --preset NAME or nas train."""
    from nas.presets import describe_preset, list_presets

    if name is not None:
        click.echo(describe_preset(name), nl=False)
        return
    _print_lines(list_presets())


def _parse_shape(text: str, kinds: tuple[str, ...]) -> tuple[int, ...]:
    """Parse the shape of an example of one of these kinds.

    Raises:
        UserError: it is none.
    """
    allowed = {one: form for one, form in _SHAPES.items() if one in kinds}
    shape = tuple(int(part) for part in text.split("x")) if re.fullmatch(r"[1-9]\d{0,5}(x[1-9]\d{0,5})*", text) else ()
    if len(shape) not in [1 + form.count("x") for form in allowed.values()]:
        forms = " or ".join(f"{form} of {one}s" for one, form in allowed.items())
        raise UserError("--shape", text, forms or "nothing: this space is not shaped by examples")
    return shape


def _explain(thing: type, option_of: str) -> None:
    click.echo(inspect.getdoc(thing))
    click.echo(f"\nOptions ({option_of} NAME=VALUE):\n")
    for option in registry.options(thing).values():
        click.echo(f"  {option.name}: {registry.describe_type(option.type)}, default {option.default}. {option.help}")


def _list_or_explain(kind: registry.Kind, name: str | None, option: str) -> None:
    """List all of a kind, or explain one; `option` is how its own options are given."""
    if name is None:
        _list_things(kind)
    else:
        _explain(registry.load(kind, name), option)


def _list_things(kind: registry.Kind) -> None:
    things = {name: registry.load(kind, name) for name in registry.names(kind)}
    _print_lines({name: (inspect.getdoc(thing) or "").partition("\n")[0] for name, thing in things.items()})


def _print_lines(lines: dict[str, str]) -> None:
    width = max(len(name) for name in lines)
    for name, line in lines.items():
        click.echo(f"{name:{width}}  {line}")
