"""Every evaluator does every kind of job on the device."""

import pytest
import torch
from safetensors.torch import load

from evaluators.autoencoder.task import AutoencoderTask
from evaluators.gan.task import GanTask
from nas.core.errors import CandidateFailure, UserError
from nas.core.evaluator import CHECKPOINT, WEIGHTS
from nas.core.job import PruneChannels, ScoreWithSupernet, TrainFinalist, TrainPortion, TrainSupernet
from nas.core.supernet import SupernetPlan
from nas.core.trial import Proposal, Start, Trial
from tests.parts.devices import draw, evaluate, kinds, quality
from tests.parts.supernets import FEW, base_of

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("lenient")]
EVERY = list(kinds())


@pytest.fixture(params=EVERY)
def kind(request):
    return kinds()[request.param]


def load_model(kind, measurement):
    model = kind.space.build(kind.genotype, kind.data.shape)
    model.load_state_dict(load(measurement.artifacts[WEIGHTS]))
    return model


def test_what_is_trained_is_scored_alike_on_the_cpu(kind, device):
    """The weights come back to the CPU, and their scores on the test part are the same there."""
    evaluator = kind.evaluator(device)
    measured = evaluate(evaluator, kind.genotype)
    assert [one.epoch for one in measured] == [1, 2]
    assert measured[-1].metrics["peak_memory_mb"] > 0
    first = next(iter(evaluator.objectives))
    there = evaluator.test(kind.genotype, load_model(kind, measured[-1]), 1)
    assert set(there) <= set(evaluator.metrics)
    if not isinstance(evaluator.task, GanTask):  # whose noise is drawn by the device's own generator
        here = kind.evaluator("cpu").test(kind.genotype, load_model(kind, measured[-1]), 1)
        assert there[first] == pytest.approx(here[first], rel=0.02)


def test_a_training_goes_on_from_its_checkpoint(kind, device):
    evaluator = kind.evaluator(device, epochs=3)
    whole = list(evaluator.train(Trial(0, Proposal(kind.genotype), 1)))
    assert [CHECKPOINT in one.artifacts for one in whole] == [True] * 3
    rest = list(evaluator.train(Trial(0, Proposal(kind.genotype), 1), whole[0].artifacts[CHECKPOINT]))
    assert [one.epoch for one in rest] == [2, 3]
    first = next(iter(evaluator.objectives))
    assert rest[-1].metrics[first] == pytest.approx(whole[-1].metrics[first], rel=0.05)  # kernels add in any order


def test_portions_one_after_the_other_are_a_training(kind, device):
    evaluator = kind.evaluator(device)
    *_, first = evaluate(evaluator, kind.genotype, TrainPortion(0, 2, 0))
    start = Start(0, kind.genotype, first.artifacts[CHECKPOINT])
    (second,) = evaluate(evaluator, kind.genotype, TrainPortion(1, 2, 0, continues=0), start, number=1)
    assert (first.epoch, second.epoch) == (1, 2)
    assert WEIGHTS in second.artifacts


def test_a_finalist_is_trained_in_parts(kind, device):
    evaluator = kind.evaluator(device)
    part = TrainFinalist(after=1, candidate=0, stage=0, before=0, epochs=1, horizon=3)
    (first,) = evaluate(evaluator, kind.genotype, part)
    last = TrainFinalist(after=1, candidate=0, stage=1, before=1, epochs=2, horizon=3, settles=True, continues=1)
    start = Start(1, kind.genotype, first.artifacts[CHECKPOINT])
    measured = evaluate(evaluator, kind.genotype, last, start, number=2)
    assert measured[-1].epoch == 3


def test_children_inherit_weights(kind, device):
    evaluator = kind.evaluator(device, epochs=1)
    (parent,) = evaluate(evaluator, kind.genotype)
    start = Start(0, kind.genotype, parent.artifacts[WEIGHTS])
    (child,) = evaluate(evaluator, kind.genotype, start=start, number=1)
    assert child.metrics["inherited"] == 1
    (other,) = evaluate(evaluator, draw(kind.space, 5), start=start, number=2)
    assert 0 <= other.metrics["inherited"] <= 1


def test_channels_are_pruned(kind, device):
    evaluator = kind.evaluator(device, epochs=1)
    (whole,) = evaluate(evaluator, kind.genotype)
    start = Start(0, kind.genotype, whole.artifacts[WEIGHTS])
    try:
        evaluator.check_prunable(kind.genotype)
    except CandidateFailure as error:
        pytest.skip(str(error))
    *_, smaller = evaluate(evaluator, kind.genotype, PruneChannels(0.5), start, number=1)
    assert smaller.metrics["parameters"] < whole.metrics["parameters"]


@pytest.mark.parametrize("name", [name for name in EVERY if kinds()[name].task.grows])
def test_networks_grow(name, device):
    kind = kinds()[name]
    measured = evaluate(kind.evaluator(device, epochs=4, grow=True), kind.genotype)
    assert measured[0].metrics["stage"] == 1
    assert measured[-1].metrics["stage"] == measured[-1].metrics["stages"]


@pytest.mark.parametrize(
    "plan", [{"order": 1}, {"order": 2}, {"relaxation": "gumbel"}, {"relaxation": "gumbel_softmax"}]
)
def test_operations_are_chosen_by_gradient(plan, device):
    evaluator = AutoencoderTask.make_evaluator(FEW, kinds()["plain"].data, epochs=1, device=device)
    measured = evaluate(evaluator, base_of(FEW), TrainSupernet(SupernetPlan(epochs=2, samples=2, **plan)))
    FEW.validate(measured[-1].derived[0])


def test_pairs_are_chosen_by_gradient(device):
    from tests.parts.pair_supernets import SPACE

    evaluator = GanTask.make_evaluator(SPACE, kinds()["gan, condition none"].data, epochs=1, device=device)
    plan = SupernetPlan(2, relaxation=None, warm_up=None, samples=2)
    assert evaluate(evaluator, base_of(SPACE), TrainSupernet(plan))[-1].derived


@pytest.mark.parametrize("name", ["plain", "gan, condition none"])
def test_candidates_are_paths_of_a_supernet(name, device):
    kind = kinds()[name]
    base, evaluator = base_of(kind.space), kind.evaluator(device, epochs=1)
    (trained,) = evaluate(evaluator, base, TrainSupernet(SupernetPlan(epochs=1, paths=())))
    start = Start(0, base, trained.artifacts[WEIGHTS])
    candidate = draw(kind.space.paths(base), 3)
    twice = [evaluate(evaluator, candidate, ScoreWithSupernet(0), start, number)[0] for number in (1, 2)]
    first = next(iter(evaluator.objectives))
    assert twice[0].metrics[first] == pytest.approx(twice[1].metrics[first], rel=1e-3)


def test_the_same_trial_gives_nearly_the_same_again(kind, device):
    """Bit for bit on a CPU; on a card some kernels add in another order each time."""
    evaluator = kind.evaluator(device, epochs=1)
    first = next(iter(evaluator.objectives))
    found = [evaluate(evaluator, kind.genotype)[0].metrics[first] for _ in range(2)]
    assert found[0] == pytest.approx(found[1], rel=0 if device == "cpu" else 0.05)


@pytest.mark.parametrize("name", ["plain", "variational", "cyclegan", "own task"])
def test_weights_of_another_device_can_be_begun_from(name, device):
    kind = kinds()[name]
    (here,) = evaluate(kind.evaluator("cpu", epochs=1), kind.genotype)
    start = Start(0, kind.genotype, here.artifacts[WEIGHTS])
    (there,) = evaluate(kind.evaluator(device, epochs=1), kind.genotype, start=start, number=1)
    assert there.metrics["inherited"] == 1


@pytest.mark.parametrize("name", ["plain", "own task"])
def test_the_checkpoint_of_another_kind_of_device_is_refused(name, device):
    """Its generators of random numbers are not this device's."""
    kind = kinds()[name]
    if device == "cpu":
        pytest.skip("there is no other kind of device")
    trial = Trial(0, Proposal(kind.genotype), 1)
    first = next(iter(kind.evaluator("cpu").train(trial)))
    with pytest.raises(UserError, match="device cpu"):
        list(kind.evaluator(device).train(trial, first.artifacts[CHECKPOINT]))


def test_parts_of_the_data_stay_where_the_caller_has_them(kind, device):
    evaluate(kind.evaluator(device, epochs=1), kind.genotype)
    for domain in kind.data.domains:
        assert domain.train.examples.device == torch.device("cpu")


def test_quality_is_measured_of_everything(kind, device):
    evaluator = kind.evaluator(device, epochs=1)
    assert set(quality(evaluate(evaluator, kind.genotype)[-1])) <= set(evaluator.metrics)


def test_latencies_are_measured_in_turns_with_another_model(kind, device):
    evaluator = kind.evaluator(device, epochs=1, measured=("latency_ms",))
    reference = evaluator.calibrate_latency(kind.genotype)
    assert reference > 0
    assert evaluator.measure_cost(kind.genotype, frozenset({"latency_ms"}))["latency_ms"] > 0
    last = evaluate(evaluator, kind.genotype)[-1]
    assert reference / 4 < last.metrics["latency_ms"] < 4 * reference  # it is the model itself
    assert evaluator.protocol("validation")["latency device"] == torch.device(device).type
