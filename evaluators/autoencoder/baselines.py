"""What an autoencoder has to beat: the best linear one of its size."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from evaluators.autoencoder.uses import measure_auroc
from evaluators.examination.subject import as_rows, squared_errors
from evaluators.metrics.reconstruction import mean_squared_error, psnr
from nas.data.dataset import Dataset, as_float

_ENOUGH = 10_000  # examples that the components are fitted to
_LARGEST = 4_096  # matrices whose eigenvectors take seconds


def reconstruct_linearly(train: Tensor, test: Tensor, size: int) -> Tensor:
    """Reconstruct examples from their first principal components; images are cut to [0, 1].

    Of all linear autoencoders with a code of this size it has the least squared error on the examples that it is
    fitted to (Baldi & Hornik 1989). What is missing is the mean of the training examples.

    Args:
        train: examples (N, ...) that the components are fitted to: the first 10,000, of very large ones 4,096.
        test: examples (M, ...) of the same shape.
        size: of the code; there are no more components than values or examples.
    """
    values = train[:1].numel()
    few = train[: _ENOUGH if values <= _LARGEST else _LARGEST]
    fitted = as_rows(few, train).astype(np.float64)
    mean = fitted.mean(0)
    fitted -= mean
    size = min(size, *fitted.shape)
    if values <= len(fitted):
        components = _find_last_vectors(fitted.T @ fitted, size)
    else:  # the same directions, from the smaller of the two matrices
        components = np.linalg.qr(fitted.T @ _find_last_vectors(fitted @ fitted.T, size))[0]
    centred = as_rows(test, train) - mean
    rebuilt = torch.from_numpy(centred @ components @ components.T + mean).float().reshape(test.shape)
    return rebuilt.clamp(0, 1) if test.ndim == 4 else rebuilt


def score_linearly(data: Dataset, size: int, *, aurocs: bool) -> dict[str, float]:
    """Score principal components on the normal examples of the test part: ``mse``, and ``psnr`` of images.

    Args:
        aurocs: whether ``anomaly_auroc`` is measured as well, if there are anomalies in the test part.
    """
    examples = as_float(data.normal_test.examples)
    rebuilt = reconstruct_linearly(data.train.examples, examples, size)
    scores = {"mse": mean_squared_error(rebuilt, examples)}
    if data.kind == "image":
        scores["psnr"] = psnr(rebuilt, examples)
    if aurocs and len(others := as_float(data.test_anomalies.examples)):
        errors = squared_errors(reconstruct_linearly(data.train.examples, others, size), others)
        scores["anomaly_auroc"] = measure_auroc(squared_errors(rebuilt, examples), errors)
    return scores


def _find_last_vectors(matrix: np.ndarray, count: int) -> np.ndarray:
    """Find the eigenvectors (N, count) of the largest eigenvalues, which come last, of a symmetric matrix (N, N)."""
    found: np.ndarray = torch.linalg.eigh(torch.from_numpy(matrix)).eigenvectors[:, -count:].numpy()
    return found
