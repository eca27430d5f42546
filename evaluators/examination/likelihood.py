"""Bounds of a variational model's log-likelihood, and whether its posterior has collapsed."""

from __future__ import annotations

import math

from evaluators.examination.subject import Subject
from nas.core.evaluator import Examination
from nas.data.dataset import Split

_ACTIVE = 0.01  # Burda et al. 2016, section 5.2
_NEARLY_NONE = 2


def examine_likelihood(subject: Subject, part: Split, samples: int) -> Examination:
    """Measure ``elbo``, its parts ``log_likelihood`` and ``kl``, and ``iwae_bound``, in nats an example."""
    found = subject.bounds(part.examples, samples)
    reached, paid, weighted = found.mean(1).tolist()
    metrics = {"elbo": reached - paid, "log_likelihood": reached, "kl": paid, "iwae_bound": weighted}
    error = float(found[2].std(correction=0)) / math.sqrt(len(part))
    remarks = [f"iwae_bound is of {samples:,} samples and {len(part):,} examples, its standard error {error:.2g} nats"]
    return Examination(metrics, remarks=tuple(remarks))


def examine_activity(subject: Subject, part: Split) -> Examination:
    """Count a variational model's ``active_units``: latents whose posterior mean varies by more than 0.01.

    Burda et al. 2016, section 5.2: the variance over examples of the mean of q(z|x).
    """
    codes = subject.apply(subject.mean or subject.encode, part.examples).double().numpy()
    active, latents = int((codes.var(axis=0) > _ACTIVE).sum()), codes.shape[1]
    remark = f"{active} of {latents} latents {'is' if active == 1 else 'are'} active"
    if active <= min(_NEARLY_NONE, latents // 4):
        ignores = "codes say nothing of the examples" if not active else "codes say hardly anything of the examples"
        remark = f"the posterior has collapsed: {remark}, so that {ignores}"
    return Examination({"active_units": float(active)}, remarks=(remark,))
