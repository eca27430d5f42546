"""Who evaluates which trial and how often, without any process."""

import pytest

from nas.core.trial import Measurement, Outcome
from nas.executors.evaluation import EvaluationEnd
from nas.executors.ray_tune.adapters import classify_death
from nas.executors.ray_tune.attempts import Attempts
from nas.testing.executors import Diary, toy_search

DIED = Outcome("failed", "the worker died: SIGKILL")
DONE = EvaluationEnd(Outcome("complete"))


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def attempts(clock, workers=1, retries=1, timeout=None, **options):
    diary = Diary()
    search = toy_search(record=diary, **options)
    made = Attempts(
        search, lambda trial: None, workers=workers, retries=retries, timeout=timeout, clock=clock
    )  # fmt: skip
    return made, search, diary


def test_no_more_run_at_once_than_there_are_workers(clock):
    made, search, _ = attempts(clock, workers=2, trials=3)
    assert [made.next(key).number for key in "ab"] == [0, 1]
    assert made.next("c") is None
    assert not made.over
    made.report("b", Measurement(1, {"loss": 1.0}))
    made.end("b", DONE)
    assert made.next("c").number == 2
    for key in "ac":
        made.report(key, Measurement(1, {"loss": 1.0}))
        made.end(key, DONE)
    assert not made.over  # nobody has asked yet whether there is more
    assert made.next("d") is None
    assert made.over
    assert [trial.number for trial in search.ended] == [1, 0, 2]


def test_the_search_is_told_once_that_a_worker_has_begun(clock):
    made, search, _ = attempts(clock, workers=2, trials=3)
    told = []
    search.start_clock = lambda: told.append(clock.now)
    made.next("a")
    made.next("b")
    assert not told
    for clock.now, key in ((7.0, "b"), (8.0, "a")):
        made.note_begin(key, lambda: None)
    assert told == [7.0]


def test_a_strategy_that_waits_is_not_asked_again_before_something_has_ended(clock):
    made, search, _ = attempts(clock, workers=2, trials=3)
    asked, ask = [], search.next
    search.next = lambda: asked.append(1) or (ask() if len(asked) != 2 else None)
    first = made.next("a")
    assert [made.next(key) for key in "bcd"] == [None] * 3
    assert len(asked) == 2
    made.end("a", DONE)
    assert made.next("e").number == first.number + 1


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_trial_whose_worker_dies_is_tried_again_so_often_and_its_measurements_begin_anew(clock, retries):
    made, search, diary = attempts(clock, retries=retries, trials=1)
    trial = made.next("0")
    for attempt in range(retries + 1):
        made.note_begin(str(attempt), lambda: None)
        made.report(str(attempt), Measurement(1, {"loss": float(attempt)}))
        made.handle_death(str(attempt), DIED)
        if attempt < retries:
            assert made.next(str(attempt + 1)) == trial
    (ended,) = search.ended
    assert ended.outcome.kind == "failed"
    assert "SIGKILL" in ended.outcome.reason
    assert [m.metrics["loss"] for m in ended.measurements] == [retries]
    assert diary.retries[0] == retries
    assert [event.kind for event in diary.events] == ["ask", "tell"]


def test_a_trial_to_be_tried_again_comes_before_new_ones_and_keeps_the_search_alive(clock):
    made, _, _ = attempts(clock, workers=2, trials=2)
    first, _ = made.next("a"), made.next("b")
    assert made.next("c") is None
    made.handle_death("a", DIED)
    made.end("b", DONE)
    assert not made.over
    assert made.next("c") == first


def test_what_takes_too_long_is_killed_once_and_not_tried_again(clock):
    made, search, diary = attempts(clock, timeout=10, trials=1)
    killed = []
    made.next("a")
    clock.now = 100.0  # the worker was long in coming
    made.watch()
    made.note_begin("a", lambda: killed.append(clock.now))
    clock.now = 110.0
    made.watch()
    assert killed == []
    clock.now = 110.1
    made.watch()
    made.watch()
    assert killed == [110.1]
    assert made.report("a", Measurement(1, {"loss": 1.0}))  # it was on its way; the worker's end is waited for
    assert made.end("a", DONE)
    assert search.ended == []
    made.handle_death("a", DIED)
    (ended,) = search.ended
    assert ended.outcome.kind == "failed"
    assert "--trial-timeout" in ended.outcome.reason
    assert not diary.retries


MESSAGES = [
    (
        """Failure # 1 (occurred at 2026-11-21_20-56-00)
The actor died unexpectedly before finishing this task.
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker
unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was
killed by the OOM killer due to high memory usage, (2) ray stop --force was called""",
        Outcome("failed", "the worker died: Worker unexpectedly exits with a connection error code 2."),
    ),
    (
        """Failure # 1 (occurred at 2026-11-21_21-30-27)
1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 127.0.0.1, ID: 83f2121e) was
7.96GB used / 23.54GB limit (0.338112)
OOM kill reason: Memory usage 8518307840B exceeded threshold of 8518184448B""",
        Outcome("out_of_memory", "the worker was killed: the machine ran low on memory, 7.96GB used / 23.54GB limit"),
    ),
    (
        """Failure # 1 (occurred at 2026-11-21_21-30-36)
The actor 3578c0fc3d99f332 is unavailable: The actor is temporarily unavailable: RpcError: Socket closed rpc_code: 14.
The task may or may not have been executed on the actor.""",
        Outcome(
            "failed", "the worker died: The actor is temporarily unavailable: RpcError: Socket closed rpc_code: 14."
        ),
    ),
    ("Failure # 1\nsomething else", Outcome("failed", "the worker died: Failure # 1 something else")),
    ("", Outcome("failed", "the worker died: nobody knows why")),
]


@pytest.mark.parametrize(("message", "outcome"), MESSAGES)
def test_rays_messages_are_understood(message, outcome):
    assert classify_death(message) == outcome
