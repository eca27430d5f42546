"""Noisy, turned and scaled examples."""

import math

import pytest
import torch

from evaluators.examination.robustness import examine_robustness, rotate, scale
from evaluators.examination.subject import Subject
from nas.data.dataset import Split
from tests.parts.examinations import keep, split


def smooth_images(count=20, side=16):
    places = torch.linspace(0, 3, side)
    shifts = torch.arange(count)[:, None, None] / 4
    return (0.5 + 0.4 * torch.sin(places[:, None] * 2 + shifts) * torch.cos(places + shifts))[:, None]


@pytest.mark.parametrize("shape", [(8, 8), (6, 9)])
def test_turning_and_scaling_are_what_they_say(shape):
    images = torch.rand(3, 2, *shape)
    assert torch.allclose(rotate(images, 180), images.flip(2, 3), atol=1e-5)
    assert torch.allclose(rotate(images, 0), images, atol=1e-5)
    assert torch.allclose(scale(images, 1), images, atol=1e-5)
    if shape == (8, 8):
        assert torch.allclose(rotate(images, 90), images.rot90(1, (2, 3)), atol=1e-5)


def test_enlarging_moves_a_point_away_from_the_centre_in_proportion():
    images = torch.zeros(1, 1, 41, 41)
    images[0, 0, 19:22, 24:27] = 1  # five pixels to the right of the centre
    across = torch.arange(41.0) - 20
    weights = scale(images, 2.0)[0, 0].sum(0)
    assert float((weights * across).sum() / weights.sum()) == pytest.approx(10, abs=0.1)
    weights = rotate(images, 90)[0, 0].sum(1)  # from the right to the top
    assert float((weights * across).sum() / weights.sum()) == pytest.approx(-5, abs=0.1)


def test_who_gives_everything_back_gives_the_noise_back_and_moved_images_as_they_are():
    part = Split(smooth_images())
    found = examine_robustness(Subject(keep, keep, keep), part, part, 0)
    for sigma in (0.05, 0.1, 0.2, 0.3, 0.5):
        assert found.metrics[f"psnr_at_noise_{sigma:g}"] == pytest.approx(-20 * math.log10(sigma), abs=0.2)
    assert found.metrics["psnr_at_rotation_20"] == found.metrics["psnr_at_scale_1.2"] == 100
    assert set(found.pictures) == {"robustness.png", "denoised.png"}


def test_who_denoises_is_better_with_noise_than_who_keeps_it():
    part = Split(smooth_images())

    def blur(images):
        return torch.nn.functional.avg_pool2d(images, 3, 1, 1, count_include_pad=False)

    kept, blurred = (examine_robustness(Subject(keep, keep, make), part, part, 0).metrics for make in (keep, blur))
    assert blurred["psnr_at_noise_0.3"] > kept["psnr_at_noise_0.3"] + 5


def test_noise_on_other_data_is_in_units_of_each_value_and_missing_values_do_not_count():
    scales = torch.tensor([1.0, 100.0, 0.0])
    examples = torch.randn(2000, 3, generator=torch.Generator().manual_seed(0)) * scales
    examples[::2, 0] = torch.nan
    found = examine_robustness(Subject(keep, keep, keep), split(examples), split(examples), 0)
    values = found.metrics["mse_at_noise_0.2"]
    assert values == pytest.approx((0.04 * (100**2 + 0) / 2 + 0.04 * (100**2 + 1) / 3) / 2, rel=0.05)
    assert list(found.pictures) == ["robustness.png"]
    assert not [name for name in found.metrics if "rotation" in name or "psnr" in name]
