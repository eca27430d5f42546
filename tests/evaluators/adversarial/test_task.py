import pytest

from evaluators.autoencoder.task import AutoencoderTask
from evaluators.cyclegan.task import CycleGanTask
from evaluators.gan.task import GanTask


@pytest.mark.parametrize("task", [GanTask, CycleGanTask])
def test_what_noise_would_win_and_what_says_nothing_of_quality_is_no_objective(task):
    refused = {name for name, metric in task.quality.items() if metric.objective is None}
    assert refused == {"sample_deviation", "real_fid", "epoch_fid", "kept_epoch"} | {"density"} & set(task.quality)
    assert all(task.quality[name].caveat for name in refused - {"density"})


def test_a_divergence_that_collapsed_codes_win_is_no_objective_and_the_likelihood_is():
    assert AutoencoderTask.quality["kl"].objective is None
    assert AutoencoderTask.quality["log_likelihood"].objective is not None
