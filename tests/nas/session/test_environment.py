"""The threads of a run: those that it began with."""

import json

import pytest
import torch

from nas.core.threads import SEVERAL_THREADS_FROM
from nas.session import environment
from nas.session.environment import describe_environment, keep_threads
from nas.testing.toys import ToyEvaluator, ToySpace


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    monkeypatch.setattr(environment, "count_cores", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def evaluator():
    return ToyEvaluator(ToySpace())


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Writes what a run records, and says with how many threads it goes on, if these were asked for."""

    def written(recorded, evaluator, asked=None):
        (tmp_path / "environment.json").write_text(json.dumps(recorded))
        monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        if asked is not None:
            monkeypatch.setenv("OMP_NUM_THREADS", asked)
        with keep_threads(tmp_path, evaluator):
            threads = torch.get_num_threads()
        assert torch.get_num_threads() == 2
        return threads

    return written


def test_a_run_goes_on_with_the_threads_and_the_rule_that_it_began_with(written, evaluator):
    evaluator.several_threads_from = 5e7
    recorded = describe_environment("cpu", evaluator)
    torch.set_num_threads(2)
    other = ToyEvaluator(ToySpace())
    assert other.several_threads_from == SEVERAL_THREADS_FROM
    assert written({**recorded, "threads": 3}, other) == 3
    assert other.several_threads_from == 5e7


def test_there_are_no_more_threads_than_cores_and_the_user_has_the_last_word(written, evaluator):
    recorded = describe_environment("cpu", evaluator)
    assert written({**recorded, "threads": 64}, evaluator) == 4
    assert written({**recorded, "threads": 3}, evaluator, asked="2") == 2


def test_runs_that_record_no_rule_keep_that_of_their_version(written, evaluator):
    assert written({"threads": 3}, evaluator) == 3
    assert evaluator.several_threads_from == 1e8
