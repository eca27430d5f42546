"""What lies between the codes of images, and along each latent."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from evaluators.examination.subject import Subject
from evaluators.pictures import render_rows
from nas.core.evaluator import Examination
from nas.data.dataset import Split

_STEPS = 9
_LATENTS = 10  # rows at most
_PAIRS = 6
_REACH = 2.0  # deviations to both sides


def draw_traversals(subject: Subject, part: Split) -> Examination:
    """Draw ``traversals.png`` and ``interpolations.png`` of images.

    Traversals: the first image's code, and in each row one latent moved from two deviations below the mean to two
    above; the latents that vary most, the most varying first. Interpolations: in each row straight from the code of
    one image to that of another, by way of equal steps.
    """
    codes = subject.codes(part.examples)
    means, deviations = codes.mean(axis=0), codes.std(axis=0)
    rows = []
    for latent in np.argsort(-deviations, kind="stable")[:_LATENTS]:
        moved = np.repeat(codes[:1], _STEPS, axis=0)
        moved[:, latent] = means[latent] + deviations[latent] * np.linspace(-_REACH, _REACH, _STEPS)
        rows.append(_decode(subject, moved))
    between = [
        _decode(subject, np.linspace(codes[2 * pair], codes[2 * pair + 1], _STEPS))
        for pair in range(min(_PAIRS, len(codes) // 2))
    ]
    pictures = {"traversals.png": render_rows(rows)}
    if between:
        pictures["interpolations.png"] = render_rows(between)
    return Examination({}, pictures)


def _decode(subject: Subject, codes: np.ndarray) -> Tensor:
    return subject.apply(subject.decode, torch.from_numpy(codes).float())
