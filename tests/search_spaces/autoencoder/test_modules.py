"""What turns a decoder's output into images."""

import torch

from search_spaces.autoencoder.modules import ContinuousBernoulliMean


def test_the_mean_of_a_continuous_bernoulli_is_torchs_and_no_sigmoid():
    logits = torch.linspace(-30, 30, 601, dtype=torch.float64)
    means = ContinuousBernoulliMean()(logits)
    torchs = torch.distributions.ContinuousBernoulli(logits=logits).mean
    assert torch.allclose(means, torchs, atol=1e-6)
    assert (means[450:] < torch.sigmoid(logits[450:])).all()
    assert (means.diff() > 0).all()


def test_its_values_and_gradients_are_finite_everywhere():
    logits = torch.tensor([-1e6, -200.0, -0.2, -1e-3, 0.0, 1e-30, 0.19999, 0.2, 90.0, 1e6], requires_grad=True)
    means = ContinuousBernoulliMean()(logits)
    (gradient,) = torch.autograd.grad(means.sum(), logits)
    assert ((means >= 0) & (means <= 1)).all()
    assert (gradient >= 0).all()
    assert gradient[4].item() == torch.tensor(1 / 12).item()  # the variance of the uniform distribution
