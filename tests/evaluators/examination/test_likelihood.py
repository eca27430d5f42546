"""Bounds, and posteriors that have collapsed."""

import pytest
import torch

from evaluators.examination.likelihood import examine_activity, examine_likelihood
from nas.data.dataset import Split
from tests.parts.examinations import flatten, split


def count(active, latents):
    scales = torch.full((latents,), 0.09)  # a variance of 0.0081, below Burda et al.'s 0.01
    scales[:active] = 0.11  # 0.0121
    examples = torch.randn(4000, latents, generator=torch.Generator().manual_seed(0)) * scales
    return examine_activity(flatten((latents,)), split(examples))


def test_latents_whose_means_vary_by_more_than_a_hundredth_are_active():
    found = count(12, 32)
    assert found.metrics == {"active_units": 12}
    assert found.remarks == ("12 of 32 latents are active",)


@pytest.mark.parametrize(("active", "latents", "collapsed"), [
    (0, 8, True), (2, 32, True), (3, 32, False), (1, 2, False), (1, 4, True), (0, 1, True), (1, 1, False),
])  # fmt: skip
def test_a_posterior_has_collapsed_where_no_latent_is_active_or_hardly_any(active, latents, collapsed):
    remark = count(active, latents).remarks[0]
    assert remark.startswith("the posterior has collapsed: ") == collapsed
    assert f"{active} of {latents} latents" in remark


def test_bounds_are_means_over_examples_and_have_a_standard_error():
    def bound(examples, samples):
        return torch.tensor([[-3.0], [1.0], [-3.5]]) * torch.ones(len(examples)) + examples[:, 0] * torch.eye(3)[2:].T

    part = Split(torch.ones(200, 2))
    part.examples[::2] = -1
    found = examine_likelihood(flatten((2,), bound=bound), part, 5000)
    assert found.metrics == {"elbo": -4, "log_likelihood": -3, "kl": 1, "iwae_bound": -3.5}
    assert "5,000 samples and 200 examples, its standard error 0.071 nats" in found.remarks[0]
