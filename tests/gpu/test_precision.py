"""Trainings in bfloat16, whose scores are in float32, and what all of their kernels make of it."""

import pytest
import torch
from safetensors.torch import load

from evaluators.adversarial.diff_augment import POLICIES
from evaluators.adversarial.losses import ADVERSARIAL_LOSSES
from evaluators.training.optimisers import OPTIMISERS
from nas.core.errors import Collapsed, Diverged, UserError
from nas.core.evaluator import CHECKPOINT, WEIGHTS
from nas.core.trial import Proposal, Trial
from nas.session.device import choose_precision
from tests.parts.devices import draw, evaluate, kinds

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("lenient")]


@pytest.fixture(autouse=True)
def able(device):
    """Skips where the device has no bfloat16."""
    try:
        choose_precision("bf16", device)
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", list(kinds()))
def test_every_evaluator_trains_in_bfloat16_and_scores_in_float32(name, device, monkeypatch):
    kind = kinds()[name]
    evaluator = kind.evaluator(device, epochs=2, precision="bf16")
    seen, score = [], evaluator.task.score

    def scored(*given, **options):
        seen.append((torch.is_autocast_enabled(torch.device(device).type), torch.backends.cudnn.allow_tf32))
        return score(*given, **options)

    monkeypatch.setattr(evaluator.task, "score", scored)
    lower = evaluate(evaluator, kind.genotype)[-1]
    assert {autocast for autocast, _ in seen} == {False}
    assert device == "cpu" or {rounded for _, rounded in seen} == {False}
    tensors = load(lower.artifacts[WEIGHTS]).values()
    assert {tensor.dtype for tensor in tensors if tensor.is_floating_point()} == {torch.float32}
    whole = evaluate(kind.evaluator(device, epochs=2), kind.genotype)[-1]
    assert lower.artifacts[WEIGHTS] != whole.artifacts[WEIGHTS]  # it has made a difference
    first = next(iter(evaluator.objectives))
    assert lower.metrics[first] == pytest.approx(whole.metrics[first], rel=0.5)


def test_a_checkpoint_of_another_precision_is_refused(device):
    kind = kinds()["plain"]
    trial = Trial(0, Proposal(kind.genotype), 1)
    first = next(iter(kind.evaluator(device, precision="bf16").train(trial)))
    with pytest.raises(UserError, match="precision bf16"):
        list(kind.evaluator(device).train(trial, first.artifacts[CHECKPOINT]))
    rest = list(kind.evaluator(device, precision="bf16").train(trial, first.artifacts[CHECKPOINT]))
    assert [one.epoch for one in rest] == [2]


@pytest.mark.parametrize("name", [name for name in ADVERSARIAL_LOSSES if name != "relativistic"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_adversarial_loss_is_computed(name, precision, device):
    kind = kinds()["gan, condition none"]
    genotype = draw(kind.space, 2, condition="none", loss=name)
    evaluate(kind.evaluator(device, epochs=1, precision=precision), genotype)


@pytest.mark.parametrize("policy", list(POLICIES))
def test_every_augmentation_of_a_discriminator_is_computed(policy, device):
    kind = kinds()["gan, condition none"]
    genotype = draw(kind.space, 2, condition="none", diff_augment=policy)
    evaluate(kind.evaluator(device, epochs=1, precision="bf16"), genotype)


@pytest.mark.parametrize("optimiser", list(OPTIMISERS))
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_every_optimiser_makes_steps(optimiser, precision, device):
    kind = kinds()["plain"]
    genotype = draw(kind.space, 1, family="plain", optimiser=optimiser, learning_rate=0.001)
    evaluate(kind.evaluator(device, epochs=1, precision=precision), genotype)


@pytest.mark.parametrize("name", ["plain", "gan, condition none", "cyclegan"])
def test_genotypes_from_all_over_the_space_train_in_bfloat16(name, device):
    """What fails fails by its own doing: its numbers, and never a kernel's types."""
    kind = kinds()[name]
    evaluator, trained = kind.evaluator(device, epochs=1, precision="bf16"), 0
    for seed in range(8):
        try:
            trained += len(evaluate(evaluator, draw(kind.space, seed)))
        except (Collapsed, Diverged):
            continue
    assert trained >= 4
