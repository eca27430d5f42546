"""Principal components are the best linear reconstruction."""

import numpy as np
import torch
from sklearn.decomposition import PCA

from evaluators.autoencoder.baselines import reconstruct_linearly


def test_components_are_those_of_scikit_learn():
    generator = torch.Generator().manual_seed(0)
    train, test = (0.5 + 0.05 * torch.randn(count, 1, 6, 6, generator=generator) for count in (200, 50))
    found = reconstruct_linearly(train, test, 5)
    pca = PCA(5).fit(train.flatten(1).numpy())
    wanted = pca.inverse_transform(pca.transform(test.flatten(1).numpy())).reshape(found.shape)
    assert np.allclose(found.numpy(), wanted.clip(0, 1), atol=1e-5)


def test_a_code_as_large_as_the_data_loses_nothing():
    images = torch.rand(40, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(reconstruct_linearly(images, images, 16), images, atol=1e-5)


def test_more_values_than_examples_and_missing_ones_are_no_hindrance():
    generator = torch.Generator().manual_seed(2)
    train, test = (torch.randn(count, 60, generator=generator) for count in (40, 10))
    pca = PCA(7).fit(train.numpy())
    wanted = pca.inverse_transform(pca.transform(test.numpy()))
    assert np.allclose(reconstruct_linearly(train, test, 7).numpy(), wanted, atol=1e-5)
    holed = test.clone()
    holed[:, 3] = torch.nan
    filled = torch.where(holed.isnan(), train.mean(0), holed)
    assert torch.allclose(reconstruct_linearly(train, holed, 7), reconstruct_linearly(train, filled, 7), atol=1e-5)
