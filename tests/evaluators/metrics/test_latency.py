"""Latencies: what slows the machine for a while has no say in how two models compare."""

import statistics

import pytest
import torch
from torch import nn

from evaluators.metrics import latency
from evaluators.metrics.latency import measure_latency, measure_relative_latency

CPU = torch.device("cpu")


class Machine:
    """A clock that models move on, by what they cost times how slow the machine is at that time."""

    def __init__(self, slowness):
        self.seconds, self.runs, self._slowness = 0.0, 0, slowness

    def model(self, milliseconds):
        machine = self

        class Module(nn.Module):
            def forward(self, inputs):
                assert len(inputs) == 1
                machine.runs += 1
                machine.seconds += 1e-3 * milliseconds * machine._slowness(machine.runs)

        return [(Module(), (torch.zeros(1),))]


@pytest.fixture
def machine(monkeypatch):
    def make(slowness):
        made = Machine(slowness)
        monkeypatch.setattr(latency, "_read_clock", lambda device: made.seconds)
        monkeypatch.setattr(latency, "_SECONDS", 0.0)
        return made

    return make


def test_a_machine_that_gets_slower_changes_latencies_and_not_their_ratio(machine):
    slower = machine(lambda run: 1 + run / 20)
    assert measure_relative_latency(slower.model(6), slower.model(2), CPU) == pytest.approx(3, rel=0.03)
    found = [measure_latency(slower.model(2), CPU) for _ in range(2)]
    assert found[0] > 2 * 2
    assert found[1] > 1.2 * found[0]


def test_single_interruptions_have_no_say(machine):
    interrupted = machine(lambda run: 50 if run % 7 == 0 else 1)
    assert measure_relative_latency(interrupted.model(6), interrupted.model(2), CPU) == pytest.approx(3)
    assert measure_latency(interrupted.model(2), CPU) == pytest.approx(2)


def test_real_models_compare_by_what_they_compute_and_leave_generators_alone():
    def deep(layers):
        chain = nn.Sequential(*(m for _ in range(layers) for m in (nn.Linear(512, 512), nn.Dropout())))
        return [(chain, (torch.rand(1, 512),))]

    once, four_times = deep(8), deep(32)
    state = torch.get_rng_state()
    found = statistics.median(measure_relative_latency(four_times, once, CPU) for _ in range(3))
    assert 2 < found < 8
    assert torch.equal(state, torch.get_rng_state())
