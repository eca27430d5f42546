"""How well examples come back from their codes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from evaluators.examination.subject import Subject, squared_errors
from evaluators.metrics.reconstruction import psnr, ssim
from nas.core.evaluator import Examination
from nas.data.dataset import Split, as_float

_SURE = 1e-6
"""How near to 0 and 1 a reconstruction may be for its cross-entropy, which has no bound there."""


def examine_reconstruction(subject: Subject, part: Split) -> Examination:
    """Measure ``mse``, of values from 0 to 1 ``bce`` in nats a value, and of images ``psnr`` in dB and ``ssim``.

    ``bce`` is the cross-entropy of reconstructions that are cut to [1e-6, 1 - 1e-6].
    """
    examples = as_float(part.examples)
    rebuilt = subject.apply(subject.reconstruct, examples)
    metrics = {"mse": float(squared_errors(rebuilt, examples).mean())}
    present = ~examples.isnan()
    if present.any() and examples[present].min() >= 0 and examples[present].max() <= 1:
        values, made = examples[present], rebuilt[present].clamp(_SURE, 1 - _SURE)
        metrics["bce"] = float(F.binary_cross_entropy(made, values, reduction="none").mean(dtype=torch.float64))
    if part.kind == "image":
        metrics |= {"psnr": psnr(rebuilt, examples), "ssim": ssim(rebuilt, examples)}
    return Examination(metrics)
