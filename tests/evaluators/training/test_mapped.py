"""Training on examples that lie in a file: the same model, and no copy of them, whoever trains."""

import pickle

import numpy as np
import pytest
import torch

from evaluators.autoencoder.task import AutoencoderTask
from nas.core.space import sample
from nas.core.trial import Proposal, Trial
from nas.data.loading import load_data
from nas.data.mapped import LIMIT, find_mapping
from search_spaces.autoencoder.space import AutoencoderSpace
from tests.conftest import SMALL

SPACE = AutoencoderSpace().restrict({site: (value,) for site, value in SMALL.items()})


@pytest.fixture
def evaluators(tmp_path, monkeypatch):
    """An evaluator of images in memory, and one of the same that are mapped."""
    monkeypatch.setenv("NAS_DATA_DIR", str(tmp_path))
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (400, 8, 8), dtype=np.uint8))
    found = []
    for limit in ("1G", "1K"):
        monkeypatch.setenv(LIMIT, limit)
        data = load_data(f"npy:{tmp_path / 'x.npy'}")
        found.append(AutoencoderTask.make_evaluator(SPACE, data, epochs=1))
    return found


def test_the_scores_are_the_same_to_the_last_bit(evaluators):
    genotype = sample(SPACE, np.random.default_rng(0), usual=1)
    scores = [[*one.evaluate(Trial(0, Proposal(genotype), 3))][-1].metrics for one in evaluators]
    volatile = ("seconds", "latency", "memory")
    first, second = ({k: v for k, v in one.items() if not any(word in k for word in volatile)} for one in scores)
    assert "mse" in first
    assert first == second


def test_a_worker_is_sent_the_name_of_the_file(evaluators):
    inside, outside = (pickle.dumps(one) for one in evaluators)
    assert len(inside) > 400 * 64
    assert len(outside) < len(inside) - 0.9 * 400 * 64
    there = pickle.loads(outside).task.data
    assert find_mapping(there.train.examples) is not None
    assert torch.equal(there.train.examples, evaluators[0].task.data.train.examples)
