"""A trained autoencoder, as its uses see it."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nas.data.dataset import Split, as_float, batches

Function = Callable[[Tensor], Tensor]
_MOST_VALUES = 2**26  # a quarter of a gigabyte in float32


@dataclass(frozen=True)
class Subject:
    """What a model does with examples (N, ...) float32 on the device; NaN stands for values that are missing.

    Attributes:
        encode: examples to codes (N, latent): of a variational model the means, of one with categories the likeliest.
        decode: codes to examples.
        reconstruct: examples to what the model makes of them.
        bound: of a variational model, examples and a number of samples to the bounds (3, N) in nats of
            evaluators.autoencoder.bounds.bound_likelihoods; None of others.
        corrupt: examples to what a model was trained to undo, noise for one; None of others.
        mean: of a variational model, examples to their codes' means; None where these are the codes.
        count_uses: of a model with a codebook, examples to how often their codes hold each of its vectors, (size,).
        device: where the model is.
    """

    encode: Function
    decode: Function
    reconstruct: Function
    bound: Callable[[Tensor, int], Tensor] | None = None
    corrupt: Function | None = None
    mean: Function | None = None
    count_uses: Function | None = None
    device: torch.device | str = "cpu"

    @torch.no_grad()
    def apply(self, function: Function, examples: Tensor) -> Tensor:
        """Apply one of the functions to examples (N, ...) or codes of any device, batch by batch; on the CPU."""
        parts = [function(as_float(examples[rows].to(self.device))).cpu() for rows in batches(examples)]
        return torch.cat(parts)

    def bounds(self, examples: Tensor, samples: int) -> Tensor:
        """Bound the log-likelihood of each of N examples; (3, N) float64 on the CPU, see `bound`."""
        assert self.bound is not None
        parts = [self.bound(as_float(examples[rows].to(self.device)), samples).cpu() for rows in batches(examples)]
        return torch.cat(parts, dim=1).double()

    def codes(self, examples: Tensor) -> np.ndarray:
        """Encode examples (N, ...): (N, latent) float64."""
        return self.apply(self.encode, examples).flatten(1).double().numpy()


def choose_some(part: Split, most: int, seed: int) -> Split:
    """Choose at most so many examples at random, in their order: a part may be sorted, by labels for one.

    Of large ones it is fewer, so that they fit into memory several times.
    """
    most = min(most, max(1, _MOST_VALUES // part.examples[:1].numel()))
    if len(part) <= most:
        return part
    chosen = np.random.default_rng([seed, len(part)]).permutation(len(part))[:most]
    return part.take(torch.from_numpy(np.sort(chosen)))


def as_rows(examples: Tensor, of: Tensor) -> np.ndarray:
    """Flatten examples (N, ...) to rows (N, D) float32; a missing value becomes the mean of those in `of`, else 0."""
    rows = as_float(examples.cpu()).flatten(1)
    if not rows.isnan().any():
        return rows.numpy()
    means = as_float(of.cpu()).flatten(1).nanmean(0).nan_to_num()
    return torch.where(rows.isnan(), means, rows).numpy()


def squared_errors(reconstructions: Tensor, examples: Tensor) -> Tensor:
    """Compute the mean squared error of each of N examples over the values that are not missing, (N,) float64."""
    parts = [
        (reconstructions[rows].cpu().double() - as_float(examples[rows].cpu()).double()).square().flatten(1).nanmean(1)
        for rows in batches(examples)
    ]
    return torch.cat(parts).nan_to_num()  # an example without any value has no error


@contextlib.contextmanager
def without_convergence_warnings() -> Iterator[None]:
    """Keep scikit-learn from warning that an iteration has not converged: a remark says so, or it does not matter."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield
