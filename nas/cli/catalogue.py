"""``nas spaces``, ``strategies``, ``early-stopping``, ``promotion``, ``datasets``: what there is, and one in full."""

from __future__ import annotations

import inspect

import click

from nas import registry


@click.command("spaces")
@click.argument("name", required=False)
def spaces_command(name: str | None) -> None:
    """List the search spaces, or explain one."""
    if name is None:
        _list_things("space")
        return
    space = registry.make("space", name, registry.load("space", name))
    click.echo(inspect.getdoc(type(space)))
    click.echo(f"\nAbout {space.size():.2g} genotypes. Decisions (--pin NAME=VALUE, --restrict NAME=A,B):\n")
    for choice in space.choices().values():
        values = ", ".join(str(value) for value in choice.values)
        click.echo(f"  {choice.site}: {values} [{choice.role}]")


@click.command("strategies")
@click.argument("name", required=False)
def strategies_command(name: str | None) -> None:
    """List the strategies, or explain one."""
    _list_or_explain("strategy", name, "--set")


@click.command("early-stopping")
@click.argument("name", required=False)
def early_stopping_command(name: str | None) -> None:
    """List the rules of early stopping, or explain one."""
    _list_or_explain("early-stopping", name, "--stop-set")


@click.command("promotion")
@click.argument("name", required=False)
def promotion_command(name: str | None) -> None:
    """List the rules of promotion, or explain one."""
    _list_or_explain("promotion", name, "--set")


@click.command("datasets")
@click.argument("name", required=False)
def datasets_command(name: str | None) -> None:
    """List the data sets, or explain one."""
    from nas.data.catalogue import data_set_names, describe_data_set

    if name is not None:
        click.echo(describe_data_set(name))
        return
    _print_lines(data_set_names())


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
