"""``nas spaces``, ``nas strategies`` and ``nas datasets``: what there is, and one of it in full."""

from __future__ import annotations

import inspect

import click

from nas import registry


@click.command("spaces")
@click.argument("name", required=False)
def spaces_command(name: str | None) -> None:
    """List the search spaces, or explain one."""
    if name is None:
        _list({known: registry.load("space", known) for known in registry.names("space")})
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
    if name is None:
        _list({known: registry.load("strategy", known) for known in registry.names("strategy")})
        return
    strategy = registry.load("strategy", name)
    click.echo(inspect.getdoc(strategy))
    click.echo("\nOptions (--set NAME=VALUE):\n")
    for option in registry.options(strategy).values():
        click.echo(f"  {option.name}: {registry.describe_type(option.type)}, default {option.default}. {option.help}")


@click.command("datasets")
@click.argument("name", required=False)
def datasets_command(name: str | None) -> None:
    """List the data sets, or explain one."""
    from evaluators.catalogue import data_set_names, describe_data_set

    if name is not None:
        click.echo(describe_data_set(name))
        return
    _listed(data_set_names())


def _list(things: dict[str, type]) -> None:
    _listed({name: (inspect.getdoc(thing) or "").partition("\n")[0] for name, thing in things.items()})


def _listed(lines: dict[str, str]) -> None:
    width = max(len(name) for name in lines)
    for name, line in lines.items():
        click.echo(f"{name:{width}}  {line}")
