"""What an autoencoder has to beat: the best linear one of its size."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.data.dataset import as_float

_ENOUGH = 10_000  # examples that the components are fitted to


@torch.no_grad()
def reconstruct_linearly(train: Tensor, test: Tensor, size: int) -> Tensor:
    """Reconstruct examples from their first principal components; images are cut to [0, 1].

    Of all linear autoencoders with a code of this size it has the least squared error on the examples that it is
    fitted to (Baldi & Hornik 1989).

    Args:
        train: examples (N, ...) that the components are fitted to: the first 10,000.
        test: examples (M, ...) of the same shape; of vectors what is missing is 0, the mean of what was standardised.
        size: of the code.
    """
    fitted = as_float(train[:_ENOUGH].cpu()).flatten(1).double().nan_to_num()
    mean = fitted.mean(0)
    covariance = (fitted - mean).T @ (fitted - mean)
    components = torch.linalg.eigh(covariance).eigenvectors[:, -size:]  # eigenvalues rise
    images = as_float(test.cpu())
    centred = images.flatten(1).double().nan_to_num() - mean
    rebuilt = centred @ components @ components.T + mean
    found: Tensor = rebuilt.float().reshape(images.shape)
    return found.clamp(0, 1) if images.ndim == 4 else found
