"""How much of a codebook is used."""

from __future__ import annotations

import torch

from evaluators.examination.subject import Subject
from evaluators.metrics.likelihood import perplexity
from nas.core.evaluator import Examination
from nas.data.dataset import Split, as_float, batches


def examine_codebook(subject: Subject, part: Split) -> Examination:
    """Measure ``codebook_perplexity``: with how many evenly used vectors codes would say as much.

    It is exp of the entropy of the vectors that the codes of a part consist of (van den Oord et al. 2017).
    """
    assert subject.count_uses is not None
    parts = [subject.count_uses(as_float(part.examples[rows].to(subject.device))) for rows in batches(part.examples)]
    counts = torch.stack(parts).sum(0)
    used = f"{int((counts > 0).sum()):,} of {len(counts):,} vectors of the codebook are used"
    return Examination({"codebook_perplexity": perplexity(counts)}, remarks=(used,))
