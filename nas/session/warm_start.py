"""What trials begin from: what earlier ones have left in the run's folder."""

from __future__ import annotations

from nas.core.errors import UserError
from nas.core.evaluator import CHECKPOINT, WEIGHTS
from nas.core.search import Search
from nas.core.space import SearchSpace
from nas.core.trial import Proposal, Start, Trial
from nas.session.inheritance import heritage_of
from nas.study.study import Study


def start_of(trial: Trial, search: Search, study: Study, heirs: SearchSpace | None) -> Start | None:
    """What a trial begins from; None where it begins from nothing.

    Args:
        heirs: the space, where children begin from their parents' weights.

    Raises:
        UserError: it begins from what is gone.
    """
    if trial.proposal.prune is not None:
        return _left_by(trial.proposal.parents[0], trial, study)
    source, name = _source(trial.proposal)
    if source is None:
        return None if heirs is None else heritage_of(trial, search.ended, study.weights_path, heirs)
    path = study.weights_path(source, name)
    try:
        tensors = path.read_bytes()
    except FileNotFoundError:
        why = f"trial {trial.number} begins from it"
        allowed = f"a run that has {path.name} among its {path.parent.name}"
        raise UserError("RUN", str(study.path), allowed, why=why) from None
    genotype = next(earlier.genotype for earlier in search.ended if earlier.number == source)
    return Start(source, genotype, tensors)


def _left_by(number: int, trial: Trial, study: Study) -> Start | None:
    """The weights that a trial of the same genotype has left; None where they were not kept: then the trial fails."""
    path = study.weights_path(number)
    return Start(number, trial.genotype, path.read_bytes()) if path.is_file() else None


def _source(proposal: Proposal) -> tuple[int | None, str]:
    """The number of the trial that a proposal begins from, and what of it."""
    if proposal.portion is not None:
        return proposal.portion.continues, CHECKPOINT
    if proposal.supernet is not None:
        return proposal.supernet.continues, WEIGHTS
    return proposal.shares, WEIGHTS


def forget_checkpoints(search: Search, study: Study) -> None:
    """Remove the checkpoints that no trial can go on from any more.

    A member may go on from what any other was after as many portions; and what a running trial goes on from is needed
    should it be run again.
    """
    reached: dict[int, int] = {}  # the last portion of each member that has ended
    ended = {trial.number: portion for trial in search.ended if (portion := trial.proposal.portion) is not None}
    running = [portion for trial in search.running if (portion := trial.proposal.portion) is not None]
    for portion in ended.values():
        reached[portion.member] = portion.number
    for portion in running:
        reached[portion.member] = portion.number - 1
    least = min(reached.values())
    needed = {number for number, portion in ended.items() if portion.number >= least and not portion.last}
    needed |= {portion.continues for portion in running if portion.continues is not None}
    for path in study.checkpoints():
        if int(path.stem) not in needed:
            path.unlink()
