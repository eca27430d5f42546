"""Codes in the plane."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import numpy as np

from evaluators.examination.figures import draw_points
from nas.core.evaluator import Examination
from nas.core.imports import has_module

EMBEDDED = 2_000
"""How many codes are drawn at most: t-SNE takes time by the square of their number."""
_PERPLEXITY = 30.0
_FEWEST = 10


def draw_codes(codes: np.ndarray, labels: np.ndarray | None, names: Sequence[str], seed: int) -> Examination:
    """Draw ``codes.png``: codes (N, latent) by PCA and t-SNE, and by UMAP where it is installed.

    Args:
        labels: (N,) int64, indices into `names`; or None.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    if not codes.std(axis=0).any():
        return Examination(remarks=("all codes are the same: there is nothing to draw",))
    flat = PCA(min(2, *codes.shape), random_state=seed).fit_transform(codes)
    flat = np.pad(flat, [(0, 0), (0, 2 - flat.shape[1])])
    panels, remarks = {"PCA": flat}, []
    if len(codes) >= _FEWEST:
        start = flat / flat[:, 0].std() * 1e-4
        perplexity = min(_PERPLEXITY, (len(codes) - 1) / 3)
        panels["t-SNE"] = TSNE(2, perplexity=perplexity, init=start, random_state=seed).fit_transform(codes)
        if has_module("umap"):
            umap = importlib.import_module("umap")
            panels["UMAP"] = umap.UMAP(random_state=seed, n_jobs=1).fit_transform(codes)
        else:
            remarks.append("no plot by UMAP: umap-learn is not installed")
    return Examination({}, {"codes.png": draw_points(panels, labels, names)}, tuple(remarks))
