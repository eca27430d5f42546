"""The options of a search on the command line."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from nas.cli.completion import complete, complete_data_set, complete_preset, complete_run, complete_trial
from nas.core.errors import UserError

Command = TypeVar("Command", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]


def _runs_folder(place: str | Path) -> Path:
    from nas.study.remote.urls import find_runs_folder

    return find_runs_folder(place)


def _runs_dir(**default: Any) -> Callable[[Command], Command]:
    text = "Where runs are kept (default runs), or a URL such as s3://bucket/runs."
    return click.option("--runs-dir", type=_runs_folder, metavar="PATH|URL", help=text, **default)


RUNS_DIR = _runs_dir(default="runs")
"""Where a command looks for runs: the folder here, also of a URL."""
_WHO_EVALUATES = (
    click.option("--executor", help="Who evaluates: inline (default), or ray: workers in processes of their own."),
    click.option("--workers", type=int, help="How many trials run at once; more than one means --executor ray."),
    click.option("--cpus-per-trial", type=int, help="Cores, and threads, of a worker (default 1)."),
    click.option("--gpus-per-trial", type=float, help="GPUs of a worker, or a share of one: 0.25 (default 0)."),
    click.option("--address", help="Ray cluster to join: auto or HOST:PORT; by default none, but this machine."),
    click.option("--retries", type=int, help="Evaluate a trial whose worker died so many times again (default 1)."),
    click.option("--trial-timeout", help="Kill a candidate that takes longer than this: 90s, 10m, 1.5h."),
)
_SEARCH: dict[str, tuple[Decorator, ...]] = {
    "What and how long": (
        click.option("--dataset", shell_complete=complete_data_set,
                     help="Data set (default digits); nas datasets lists them."),
        click.option("--space", shell_complete=complete("space"),
                     help="Search space (default autoencoder); nas spaces lists them."),
        click.option("--strategy", shell_complete=complete("strategy"),
                     help="Search strategy (default evolution); nas strategies lists them."),
        click.option("--objective", multiple=True, help="Metric to optimise (default mse, of GANs fid); repeat it."),
        click.option("--trials", type=int, help="How many candidates to evaluate (default 30)."),
        click.option("--time-limit", help="The time of all: candidates, finals, test and export: 90s, 10m, 1.5h."),
        click.option("--seed", type=int, help="Seed of everything random (default 0)."),
        click.option("--name", help="Name of the run; by default data, strategy and time."),
        _runs_dir(),
        click.option("--track", multiple=True, metavar="NAME[:PLACE]",
                     help="Tell a tracker of the run: tensorboard:FOLDER, mlflow:ADDRESS, wandb:PROJECT; repeat it."),
        click.option("--preset", metavar="NAME", shell_complete=complete_preset,
                     help="A named set of options; nas presets lists them; all others win."),
        click.option("--config", type=click.Path(path_type=Path), help="Options in YAML; the command line wins."),
    ),
    "Where it runs": (
        click.option("--device", help="auto (default), cpu, cuda, one of several cards as cuda:1, or mps."),
        click.option("--precision", help="Of trainings: auto (default: bf16 on cards that have it), fp32 or bf16."),
        *_WHO_EVALUATES,
    ),
    "The data": (
        click.option("--dataset-b", shell_complete=complete_data_set,
                     help="The other set of images, for spaces that translate between two (cyclegan)."),
        click.option("--train-size", type=int, help="Train on this many examples."),
        click.option("--split", help="Into parts with equal shares of each class: stratified (default), or shuffled."),
        click.option("--test-seed", type=int, help="Seed of the test part, where the data have none (default 0)."),
        click.option("--normal", metavar="A,B",
                     help="Train on these labels alone; the test part's others are anomalies."),
        click.option("--labelled", type=float, metavar="SHARE",
                     help="Let models see this share of the training's labels."),
        click.option("--image-size", metavar="S|HxW", help="Resize images to S x S, or H x W."),
        click.option("--channels", help="Read images as L (grey), RGB or RGBA (keeps transparency); auto by default."),
        click.option("--background", metavar="COLOUR",
                     help="Lay transparent parts on white (default), black or #rrggbb."),
        click.option("--image-shape", metavar="HxW|CxHxW", help="Make images of rows of numbers (default: squares)."),
        click.option("--strict", is_flag=True, default=None, help="Refuse a folder with an unreadable picture."),
        click.option("--label", metavar="COLUMN",
                     help="Labels: a table's column; of rows of pixels first, last, none."),
        click.option("--drop", metavar="A,B", help="Of a table: columns that are not used."),
        click.option("--columns", metavar="A,B", help="Of a table: the only columns that are used."),
        click.option("--group", metavar="COLUMN", help="Of a table: keep rows with one value of it in one part."),
        click.option("--factors", metavar="A,B", help="Of a table: what rows were made of, to compare codes with."),
        click.option("--kind", help="What arrays hold: auto (default: images or vectors), image, vector or sequence."),
        click.option("--window", type=int,
                     help="Of recordings: cut them into windows of so many samples (default 1024)."),
        click.option("--data-dir", type=click.Path(path_type=Path), help="Where downloads are kept."),
    ),
    "What is searched": (
        click.option("--pin", multiple=True, metavar="NAME=VALUE", help="Fix a decision of the space; * is any text."),
        click.option("--restrict", multiple=True, metavar="NAME=A,B", help="Leave only these values of a decision."),
        click.option(
            "--from", "from_", metavar="RUN[:TRIAL]", shell_complete=complete_trial,
            help="Keep a trial's architecture (default the best's), or a genotype file's; search how to train it.",
        ),
        click.option("--continue", "continue_", metavar="RUN", shell_complete=complete_run,
                     help="As an earlier search on the same data, but as said here: its results still count."),
        click.option("--warm-start", metavar="RUN", shell_complete=complete_run,
                     help="Begin with the best candidates of an earlier search on similar data, trained anew."),
        click.option("--set", "set_", multiple=True, metavar="OPTION=VALUE", help="Set an option of the strategy."),
        click.option("--usual/--no-usual", default=None,
                     help="Begin with what a practitioner would try first (default)."),
    ),
    "What a candidate may cost": (
        click.option("--max-parameters", metavar="N", help="Train nothing that has more: 500k, 1.5M."),
        click.option("--max-macs", metavar="N", help="Nor what needs more multiply-adds for an example: 20M."),
        click.option("--max-memory", metavar="SIZE", help="Nor what needs more memory in training: 800MB, 2GB."),
        click.option("--max-latency", metavar="TIME", help="Nor what takes longer for an example here: 5ms."),
    ),
    "How candidates are trained and stopped": (
        click.option("--epochs", type=int, help="Epochs a candidate is trained for (default: as many as rank them)."),
        click.option("--epoch-size", type=int,
                     help="Examples an epoch shows at most (default 6000, of trainings all)."),
        click.option("--candidate-time",
                     help="Train each candidate for this time: 20s, 1.5m (default: by --time-limit)."),
        click.option(
            "--early-stopping", metavar="RULE", shell_complete=complete("early-stopping"),
            help="asha (default with over 8 trials of over 4 epochs), incumbent (with a limit), hyperband, median, "
            "none...",
        ),
        click.option("--stop-set", multiple=True, metavar="OPTION=VALUE", help="Set an option of the early stopping."),
        click.option(
            "--promotion", metavar="RULE", shell_complete=complete("promotion"),
            help="Train candidates briefly, and the best of them further: asha, hyperband, or none (default).",
        ),
        click.option(
            "--weight-sharing",
            help="none (default); inherit: children begin from their parents' weights; supernet: candidates are its "
            "paths.",
        ),
        click.option("--grow", is_flag=True, default=None,
                     help="Train networks without some of their blocks at first."),
        click.option("--max-failures", type=int, help="Give up after more failed candidates than this."),
    ),
    "How candidates are scored": (
        click.option("--evaluator", help="Evaluator; by default the space's own."),
        click.option("--features",
                     help="What scores samples: auto (default), classifier, self_supervised or inception."),
        click.option("--scored-examples", type=int,
                     help="Validation examples that a candidate is scored on at most."),
    ),
    "What is done with the best": (
        click.option("--finalists", type=int,
                     help="Train so many of the best in full at the end (default 2; 0 for none)."),
        click.option("--final-share", type=float,
                     help="The finals' share of the time (default 0.5, of a limit 0.7)."),
        click.option("--evaluate/--no-evaluate", default=None, help="At the end judge the best by its uses (default)."),
        click.option("--prune", metavar="A,B", help="At the end, prune the best: shares of its channels, as 0.5,0.7."),
        click.option("--keep-weights", type=int, help="Keep the weights of the best N only (default all)."),
    ),
}  # fmt: skip

_OUTPUT = (
    click.option("--json", "as_json", is_flag=True, help="Print one line of JSON and nothing else."),
    click.option("--quiet", "-q", is_flag=True, help="Print nothing but the path of the model."),
    click.option("--verbose", "-v", is_flag=True, help="Log also why candidates crashed, with tracebacks."),
)


def search_options(command: Command) -> Command:
    """All options of ``nas search``."""
    for option in reversed([*itertools.chain(*_SEARCH.values()), *_OUTPUT]):
        command = option(command)
    return command


class GroupedCommand(click.Command):
    """A command whose help shows its options below headings: those of a search below the same ones everywhere."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each heading; what has none comes last."""
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in (*_SEARCH, "Output and help")}
        headings = _find_headings()
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                sections[headings.get(parameter.name or "", "Output and help")].append(record)
        for heading, records in sections.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)


def _find_headings() -> dict[str, str]:
    """The heading of each option of a search, by its name in Python."""
    found: dict[str, str] = {}
    for heading, options in _SEARCH.items():
        command: Callable[..., Any] = lambda: None  # noqa: E731 - what options are attached to
        for option in options:
            command = option(command)
        found |= {str(option.name): heading for option in click.command(command).params}
    return found


_ALSO_OF_A_TRAINING = (
    "preset", "space", "dataset", "dataset_b", "evaluator", "executor", "objective", "seed", "name", "track",
    "runs_dir", "features", "device", "precision", "evaluate", "test_seed", "train_size", "split", "image_size",
    "channels", "background", "image_shape", "label", "drop", "columns", "group", "factors", "kind", "window", "normal",
    "labelled", "data_dir", "strict",
)  # fmt: skip


def training_options() -> list[click.Parameter]:
    """Those options of ``nas search`` that ``nas train`` has as well."""
    known = {option.name: option for option in click.command(search_options(lambda: None)).params}
    return [known[name] for name in _ALSO_OF_A_TRAINING]


def executor_options(command: Command) -> Command:
    """Those options of ``nas search`` that say who evaluates."""
    for option in reversed(_WHO_EVALUATES):
        command = option(command)
    return command


def output_options(command: Command) -> Command:
    """What is printed."""
    for option in reversed(_OUTPUT):
        command = option(command)
    return command


def run_argument(command: Command) -> Command:
    """RUN, a folder, a URL, or a name in the folder of runs."""
    return click.argument("run", shell_complete=complete_run)(RUNS_DIR(command))


def run_path(run: str, runs_dir: Path) -> Path:
    """The folder that RUN stands for; see nas.session.lookup.find_run."""
    from nas.session.lookup import find_run

    return find_run(run, runs_dir)


def collect_options(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given, pairs taken apart, merged over those of ``--config``, and these over ``--preset``.

    Raises:
        UserError: a pair without '=', an unknown preset, or a faulty file.
    """
    from nas.config import read_yaml
    from nas.presets import load_preset

    file, preset = given.pop("config", None), given.pop("preset", None)
    options: dict[str, Any] = load_preset(preset) if preset is not None else {}
    for option, value in (read_yaml(file) if file is not None else {}).items():
        both = isinstance(value, dict) and isinstance(options.get(option), dict)
        if both or option in _NARROWING:
            _release(options, option, value)
        options[option] = {**options[option], **value} if both else value
    for option, separator in (("pin", None), ("restrict", ","), ("set", None), ("stop_set", None)):
        pairs = given.pop("set_" if option == "set" else option, ())
        if pairs:
            inherited = options.get(option) or {}
            if not isinstance(inherited, dict):
                raise UserError(f"--config {file}: {option}", inherited, "lines of 'name: value' below it")
            name = f"--{option.replace('_', '-')}"
            told = dict(_pair(name, pair, separator) for pair in pairs)
            _release(options, option, told)
            options[option] = {**inherited, **told}
    for name in ("objective", "track"):
        if not given.get(name):
            given.pop(name, None)
    options.update({name: value for name, value in given.items() if value is not None})
    for name in ("objective", "track"):
        if name in given:
            options[name] = list(given[name])
    return options


_NARROWING = {"pin": "restrict", "restrict": "pin"}


def _release(options: dict[str, Any], option: str, told: Any) -> None:
    """Take away what a preset or a file says of decisions of which a stronger option says something else."""
    other = options.get(_NARROWING.get(option, ""))
    if isinstance(other, dict) and isinstance(told, dict):
        options[_NARROWING[option]] = {name: value for name, value in other.items() if name not in told}


def _pair(option: str, pair: str, separator: str | None) -> tuple[str, Any]:
    name, equals, value = pair.partition("=")
    if not equals or not name.strip() or not value.strip():
        raise UserError(option, pair, "name=value" if separator is None else "name=value,value")
    if separator is None:
        return name.strip(), value.strip()
    return name.strip(), [item.strip() for item in value.split(separator) if item.strip()]
