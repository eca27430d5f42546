"""What trials begin from: what earlier ones have left in the run's folder."""

from __future__ import annotations

from nas.core.errors import UserError
from nas.core.evaluator import CHECKPOINT
from nas.core.trial import Start, Trial
from nas.loop import Search
from nas.study import Study


def start_of(trial: Trial, study: Study) -> Start | None:
    """What a trial begins from; None where it begins from nothing.

    Raises:
        UserError: it goes on with a training whose checkpoint is gone.
    """
    portion = trial.proposal.portion
    if portion is None or portion.continues is None:
        return None
    path = study.weights_path(portion.continues, CHECKPOINT)
    try:
        tensors = path.read_bytes()
    except FileNotFoundError:
        why = f"trial {trial.number} goes on with it"
        raise UserError("RUN", str(study.path), f"a run that has {path.name} among its checkpoints", why=why) from None
    return Start(portion.continues, trial.genotype, tensors)


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
