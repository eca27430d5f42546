"""The command line: parse, call, print. What a command needs is imported when it runs: ``nas --help`` is quick."""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import click

from nas.cli.completion import install_completion
from nas.core.errors import ExportMismatch, NotCopied, NotExportable, ReplayMismatch, UserError
from nas.core.threads import let_threads_sleep

DONE, OUR_FAULT, BAD_INPUT, NOTHING_SUCCEEDED, TOO_MANY_FAILURES, NOT_COPIED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
_USERS_DISK = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR,
    errno.EEXIST, errno.ENOENT, errno.ENAMETOOLONG, errno.ELOOP,
}  # fmt: skip


class _Lazy(click.Group):
    """A group whose commands lie in modules of their own, imported when they are called."""

    commands_in = {  # noqa: RUF012 - never changed
        "init": ("nas.cli.init", "Write a commented configuration for your data."),
        "search": ("nas.cli.search", "Search for the best model of a data set."),
        "resume": ("nas.cli.search", "Go on with an interrupted run, or give it more trials."),
        "train": ("nas.cli.train", "Train one architecture in full, with checkpoints."),
        "prune": ("nas.cli.prune", "Make smaller versions of a trial: remove channels, train on briefly."),
        "evaluate": ("nas.cli.evaluate", "Judge a trained autoencoder by what it is used for."),
        "replay": ("nas.cli.replay", "Train a trial again from its record, and compare the numbers."),
        "list": ("nas.cli.runs", "List the runs."),
        "show": ("nas.cli.runs", "Show a run, or one of its trials."),
        "dashboard": ("nas.cli.dashboard", "Show all runs in Optuna's dashboard, on this machine."),
        "report": ("nas.cli.report", "Draw a run as one page: the best, whether it paid, how it was found."),
        "compare": ("nas.cli.report", "Compare runs: curves, means and spreads, and whether they differ."),
        "export": ("nas.cli.runs", "Export a trial's model as a folder that runs by itself."),
        "bench": ("nas.cli.bench", "Compare strategies on a table of known results."),
        "spaces": ("nas.cli.catalogue", "List the search spaces, or explain one."),
        "strategies": ("nas.cli.catalogue", "List the strategies, or explain one."),
        "early-stopping": ("nas.cli.catalogue", "List the rules of early stopping, or explain one."),
        "promotion": ("nas.cli.catalogue", "List the rules of promotion, or explain one."),
        "presets": ("nas.cli.catalogue", "List the presets, or show one."),
        "datasets": ("nas.cli.catalogue", "List the data sets, or explain one."),
        "doctor": ("nas.cli.doctor", "Check that everything a search needs is here and works."),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which one uses them."""
        return list(self.commands_in)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command."""
        import importlib

        if name not in self.commands_in:
            return None
        module = importlib.import_module(self.commands_in[name][0])
        command: click.Command = getattr(module, name.replace("-", "_") + "_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; suggest the nearest for a mistyped one."""
        from nas.core.errors import unknown_name

        if args and not args[0].startswith("-") and args[0] not in self.commands_in:
            raise unknown_name("command", args[0], self.commands_in)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Describe the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.commands_in.items()])


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="nas-generative", prog_name="nas")
@click.option(
    "--install-completion", is_flag=True, is_eager=True, expose_value=False, callback=install_completion,
    help="Complete names of spaces, runs and the like with Tab in this shell from now on.",
)  # fmt: skip
def cli() -> None:
    """Neural architecture search for generative models: data in, a runnable model out."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its code: see the constants above."""
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, _raise_interrupt)
    let_threads_sleep()
    code = run(arguments)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # impatience must not disturb the exit
    sys.exit(code)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and give its exit code."""
    try:
        result = cli.main(
            args=list(sys.argv[1:] if arguments is None else arguments),
            prog_name="nas",
            standalone_mode=False,
            obj=time.monotonic(),  # when the command began
        )
        return int(result or DONE)
    except UserError as error:
        return _print_error(str(error), BAD_INPUT)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return BAD_INPUT
    except click.ClickException as error:
        return _print_error(" ".join(error.format_message().split()), BAD_INPUT)
    except (click.Abort, KeyboardInterrupt):
        return _print_error("interrupted", INTERRUPTED)
    except (ReplayMismatch, ExportMismatch, NotExportable) as error:
        return _print_error(str(error), OUR_FAULT)
    except NotCopied as error:
        return _print_error(str(error), NOT_COPIED)
    except BrokenPipeError:  # the reader has gone; say no more, not even while exiting
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except OSError as error:
        if error.errno not in _USERS_DISK:
            raise
        where = error.filename or "writing"
        allowed = "a place that can be written to and has space left"
        return _print_error(f"{where}: {os.strerror(error.errno)}; allowed: {allowed}", BAD_INPUT)


def _print_error(message: str, code: int) -> int:
    click.echo(f"nas: {message}", err=True)
    return code


def _raise_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
