"""The data that a run is searched on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.config import RunConfig
from nas.core.errors import UserError
from nas.core.evaluator import Capabilities
from nas.core.space import SearchSpace
from nas.session.given import ARRAYS, Given

if TYPE_CHECKING:
    from nas.data.dataset import Dataset
    from nas.data.pairs import DomainPair


def load_run_data(
    config: RunConfig, given: Given, space: SearchSpace, kind: type[Capabilities]
) -> Dataset | DomainPair:
    """Load the data that is configured or given, of a kind that both the space and the evaluator take.

    Raises:
        UserError: it is of another kind, there is one set too many or too few, or one cannot be used.
    """
    from nas.data.pairs import DomainPair
    from nas.data.splitting import standardise_data

    both = [one for one in space.data_kinds if one in kind.data_kinds]
    if not both:
        fits = f"evaluators of data of the kind {' or '.join(space.data_kinds)}"
        raise UserError("--evaluator", config.evaluator or space.task, fits, why=f"does not fit --space {space.name}")
    data = _load_sets(config, given, paired="image_pair" in both)
    if data.kind not in both:
        why = f"its examples are of the kind {data.kind}"
        raise UserError(
            "--dataset", data.name, f"data of the kind {' or '.join(both)}, for --space {space.name}", why=why
        )
    has = {one for domain in data.domains for one in domain.told}
    if kind.told is not None and kind.told not in has:
        fits = f"data with a {kind.told} for each example, which the task of --space {space.name} needs"
        raise UserError("--dataset", data.name, fits, why=f"has no {kind.told}s")
    if config.labelled < 1 and not kind.trains_on_some_labels:
        raise UserError("--labelled", config.labelled, f"1 with --space {space.name}", why="all labels are seen there")
    if not kind.standardises or isinstance(data, DomainPair):
        return data
    return standardise_data(data)


def check_same_data(path: Path, config: RunConfig, data: Dataset | DomainPair, recorded: str | None) -> None:
    """Refuse data that are not those of the run in this folder, by the fingerprint that it recorded.

    Raises:
        UserError: they have changed.
    """
    if recorded not in (None, found := data.fingerprint):
        why = f"{' and '.join(config.data_sets)} is now {found}"
        raise UserError("RUN", str(path), f"the data it began with ({recorded})", why=why)


def _load_sets(config: RunConfig, given: Given, *, paired: bool) -> Dataset | DomainPair:
    from nas.data.loading import load_data
    from nas.data.pairs import DomainPair, load_pair, make_pair

    if paired and config.dataset_b is None:
        why = f"--space {config.space} translates between two sets of images"
        raise UserError("--dataset-b", None, "the other data set, such as inverted:digits", why=why)
    if config.dataset_b is not None and not paired:
        why = f"--space {config.space} takes one data set"
        raise UserError("--dataset-b", config.dataset_b, "spaces that translate, such as cyclegan", why=why)
    if isinstance(given.data, DomainPair):
        return given.data
    for option, name, found in (("data", config.dataset, given.data), ("data_b", config.dataset_b, given.data_b)):
        if name == ARRAYS and found is None:
            raise UserError(option, ARRAYS, "the arrays that the run was begun with", why="must be given again")
    options: dict[str, Any] = {**config.data_options, "data_dir": config.data_dir}
    if config.normal and paired:
        why = f"--space {config.space} translates between two sets of images"
        raise UserError("--normal", ",".join(config.normal), "spaces that take one data set", why=why)
    if config.dataset_b is None:
        return given.data or load_data(config.dataset, normal=config.normal, labelled=config.labelled, **options)
    if given.data is None and given.data_b is None:
        return load_pair(config.dataset, config.dataset_b, **options)
    first = given.data or load_data(config.dataset, **options)
    return make_pair(first, given.data_b or load_data(config.dataset_b, **options))
