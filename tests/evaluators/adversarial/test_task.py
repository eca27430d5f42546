import pytest

from evaluators.autoencoder.task import AutoencoderTask
from evaluators.cyclegan.task import CycleGanTask
from evaluators.gan.task import GanTask
from evaluators.training_evaluator import SETTLING
from nas.core.job import Train, TrainFinalist
from nas.core.trial import Proposal, Trial
from nas.data.pairs import make_pair
from search_spaces.autoencoder.space import AutoencoderSpace
from search_spaces.cyclegan.space import CycleGanSpace
from search_spaces.gan.space import GanSpace

RACING, WINNING = TrainFinalist(9, 3, 0, 0, 10, 50, False), TrainFinalist(9, 3, 1, 10, 40, 50, True, continues=8)
SETTLES = {"settles_from": round(1 - SETTLING * 40 / 50, 4)}


@pytest.mark.parametrize(
    ("task", "space", "decided", "changed"),
    [
        (GanTask, GanSpace, {}, {}),
        (GanTask, GanSpace, {"schedule": "linear"}, {"schedule": "constant"}),
        (GanTask, lambda: GanSpace().of_version(1), {}, {}),
        (CycleGanTask, CycleGanSpace, {}, {"linear_decay": False}),
        (CycleGanTask, CycleGanSpace, {"linear_decay": False}, {}),
        (AutoencoderTask, AutoencoderSpace, {}, {"schedule": "constant", "averaging": 0.995}),
    ],
)
def test_a_finalist_has_a_constant_rate_that_falls_at_the_winners_end_if_its_own_would(
    task, space, decided, changed, tiny
):
    space = space()
    genotype = space.grow(
        lambda choice: decided.get(choice.site, choice.values[0] if choice.usual is None else choice.usual)
    )
    evaluator = task.make_evaluator(space, make_pair(tiny, tiny) if task is CycleGanTask else tiny, epochs=4)

    def changed_of(job):
        return evaluator.changed_hyperparameters(Trial(0, Proposal(genotype, job=job), 0))

    assert changed_of(Train()) == {}
    assert changed_of(RACING) == changed
    assert changed_of(WINNING) == (changed | SETTLES if changed else {})
    assert set(changed) - {"averaging"} <= set(evaluator.task.hyperparameters(genotype))


@pytest.mark.parametrize("task", [GanTask, CycleGanTask])
def test_what_noise_would_win_and_what_says_nothing_of_quality_is_no_objective(task):
    refused = {name for name, metric in task.quality.items() if metric.objective is None}
    assert refused == {"sample_deviation", "real_fid", "epoch_fid", "kept_epoch"} | {"density"} & set(task.quality)
    assert all(task.quality[name].caveat for name in refused - {"density"})


def test_a_divergence_that_collapsed_codes_win_is_no_objective_and_the_likelihood_is():
    assert AutoencoderTask.quality["kl"].objective is None
    assert AutoencoderTask.quality["log_likelihood"].objective is not None
