"""Reconstructions of examples that are not as those of the training: noisy, rotated, scaled."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from evaluators.examination.figures import draw_curves
from evaluators.examination.subject import Subject, squared_errors
from evaluators.metrics.reconstruction import psnr
from evaluators.pictures import render_rows
from nas.core.evaluator import Examination
from nas.data.dataset import Split, as_float

_SIGMAS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5)
_ANGLES = (5.0, 10.0, 20.0, 30.0, 45.0)  # degrees
_FACTORS = (0.7, 0.8, 0.9, 1.1, 1.2)
_SHOWN = 10
_SHOWN_NOISE = 0.2


def examine_robustness(subject: Subject, part: Split, train: Split, seed: int, *, quick: bool = False) -> Examination:
    """Measure reconstructions of noisy examples against the clean ones, and of turned and scaled images.

    Images: ``psnr_at_noise_S`` in dB, of Gaussian noise of the deviation S on values in [0, 1]; and against the turned
    or scaled image itself, ``psnr_at_rotation_A`` for A degrees and ``psnr_at_scale_F``. Others: ``mse_at_noise_S``,
    of noise of S times each value's deviation in the training part.

    The pictures: ``robustness.png``, the curves; of images ``denoised.png``, ten clean ones, noisy or corrupted as what
    the model was trained to undo, and reconstructed.

    Args:
        quick: there is noise alone, and no picture.
    """
    examples, image = as_float(part.examples.cpu()), part.kind == "image"
    unit = torch.ones(()) if image else _measure_deviations(as_float(train.examples.cpu()))
    noise = torch.randn(examples.shape, generator=torch.Generator().manual_seed(seed))
    name, measure = ("psnr", _measure_psnr) if image else ("mse", _measure_error)

    def rebuild(changed: Tensor) -> Tensor:
        return subject.apply(subject.reconstruct, changed)

    curves = {"noise": {sigma: measure(rebuild(examples + sigma * unit * noise), examples) for sigma in _SIGMAS}}
    pictures = {}
    if image and not quick:
        curves["rotation"] = {angle: _measure_moved(rebuild, rotate(examples, angle)) for angle in (0.0, *_ANGLES)}
        curves["scale"] = {
            factor: _measure_moved(rebuild, scale(examples, factor)) for factor in sorted((*_FACTORS, 1.0))
        }
        clean, noisy = examples[:_SHOWN], (examples + _SHOWN_NOISE * noise)[:_SHOWN]
        if subject.corrupt is not None:
            noisy = subject.apply(subject.corrupt, clean)
        pictures["denoised.png"] = render_rows([clean, noisy, rebuild(noisy)])
    titles = {"noise": "deviation of the noise", "rotation": "degrees", "scale": "factor"}
    axis = "PSNR, dB" if image else "mean squared error"
    if not quick:
        pictures["robustness.png"] = draw_curves({titles[kind]: curve for kind, curve in curves.items()}, axis)
    unchanged = {"noise": 0.0, "rotation": 0.0, "scale": 1.0}
    metrics = {
        f"{name}_at_{kind}_{value:g}": found
        for kind, curve in curves.items()
        for value, found in curve.items()
        if value != unchanged[kind]
    }
    return Examination(metrics, pictures)


def _measure_deviations(examples: Tensor) -> Tensor:
    """Measure each value's standard deviation over examples (N, ...), of those that are not missing."""
    means = examples.nanmean(0)
    return (examples - means).square().nanmean(0).sqrt().nan_to_num()


def _measure_error(reconstructions: Tensor, examples: Tensor) -> float:
    return float(squared_errors(reconstructions, examples).mean())


def _measure_psnr(reconstructions: Tensor, examples: Tensor) -> float:
    return psnr(reconstructions, examples)


def _measure_moved(rebuild: Callable[[Tensor], Tensor], moved: Tensor) -> float:
    return psnr(rebuild(moved), moved)


def rotate(images: Tensor, angle: float) -> Tensor:
    """Turn images (N, C, H, W) counter-clockwise by degrees around their centre, bilinear; edges are continued."""
    turn = math.radians(angle)
    height, width = images.shape[-2:]
    matrix = [
        [math.cos(turn), -math.sin(turn) * height / width, 0.0],
        [math.sin(turn) * width / height, math.cos(turn), 0.0],
    ]
    return _move(images, matrix)


def scale(images: Tensor, factor: float) -> Tensor:
    """Enlarge images (N, C, H, W) by a factor around their centre, bilinear; edges are continued."""
    return _move(images, [[1 / factor, 0.0, 0.0], [0.0, 1 / factor, 0.0]])


def _move(images: Tensor, matrix: list[list[float]]) -> Tensor:
    """Sample images where a matrix (2, 3) says, in units of half their sides from the centre."""
    shape = [1, *images.shape[1:]]
    grid = F.affine_grid(torch.tensor([matrix], dtype=images.dtype), shape, align_corners=False)
    return F.grid_sample(
        images, grid.expand(len(images), -1, -1, -1), padding_mode="border", align_corners=False
    ).clamp(0, 1)
