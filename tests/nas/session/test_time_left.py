"""The time that a run still takes: of a limit what is left, else as long as its trials took, finals included."""

from types import SimpleNamespace

import pytest

from nas.config import RunConfig
from nas.core.genotype import Genotype
from nas.core.job import Train, TrainFinalist, TrainRung
from nas.core.trial import Measurement, Outcome, Proposal, Trial
from nas.session.time_left import TimeLeft


class Session:
    """A search that a test moves on, with a clock of its own."""

    def __init__(self, total, earlier=(), **options):
        self.now, self.running, self.ended, self.closed = 0.0, [], list(earlier), False
        self.notes = {}
        config = RunConfig.checked({"finalists": 0, "trials": total, **options})
        run = SimpleNamespace(config=config, study=SimpleNamespace(notes=self.notes))
        self.left = TimeLeft(run, self, total, began=0.0, now=lambda: self.now)

    def begin(self, number, job=None):
        self.running.append(Trial(number, Proposal(Genotype("{}"), job=job or Train()), 0))

    def end(self, number, seconds=None, kind="complete"):
        trial = next(one for one in self.running if one.number == number)
        self.running.remove(trial)
        metrics = {} if seconds is None else {"seconds": seconds}
        self.ended.append(made(trial, metrics, kind))
        self.left.add(self.ended[-1])

    def evaluate(self, number, takes, seconds=None, job=None, kind="complete"):
        self.begin(number, job)
        self.now += takes
        self.end(number, seconds, kind)

    def estimate(self):
        return self.left.estimate()


def made(trial, metrics, kind="complete"):
    measured = (Measurement(1, {"loss": 1.0, **metrics}),)
    return Trial(trial.number, trial.proposal, 0, measured, Outcome(kind), (1.0,))


def test_nothing_is_said_before_a_trial_has_ended():
    assert Session(3).estimate() is None


def test_missing_trials_take_as_long_as_the_median():
    session = Session(10)
    for number, takes in enumerate((60, 10, 12, 8, 10)):  # the first one waits for data
        session.evaluate(number, takes)
    assert session.estimate() == pytest.approx(5 * 10)
    session.begin(5)
    session.now += 4
    assert session.estimate() == pytest.approx(4 * 10 + 6)
    session.now += 100  # it takes longer than any before
    assert session.estimate() == pytest.approx(4 * 10)


def test_refused_ones_take_no_time_and_do_not_count():
    session = Session(3)
    session.evaluate(0, 10)
    session.evaluate(1, 0, kind="refused")
    assert session.estimate() == pytest.approx(2 * 10)


def test_where_more_trials_come_than_were_expected_no_time_is_left():
    session = Session(1)
    session.evaluate(0, 10)
    assert session.estimate() == 0
    session.evaluate(1, 10)
    assert session.estimate() == 0


def test_what_is_closed_has_nothing_missing():
    session = Session(10)
    session.evaluate(0, 10)
    session.closed = True  # the strategy has nothing further to propose
    assert session.estimate() == 0


def test_workers_share_what_is_missing():
    session = Session(12, workers=4, executor="ray")
    for number in range(4):
        session.begin(number)
    session.now += 20
    for number in range(4):
        session.end(number)
        session.begin(number + 4)
    # four run and have just begun, four are missing
    assert session.estimate() == pytest.approx((4 + 4) * 20 / 4)
    session.now += 19
    session.end(4)
    session.begin(8)
    assert session.estimate() == pytest.approx((3 * 20 + 1 * 20 + 3 * 1) / 4, rel=0.1)


def test_one_that_runs_alone_at_the_end_is_not_shared():
    session = Session(4, workers=4, executor="ray")
    for number in range(4):
        session.begin(number)
    session.now += 20
    for number in range(3):
        session.end(number)
    session.now += 5
    assert session.estimate() == 0  # it should have ended with the others
    session.running.clear()
    session.begin(3)
    session.left._last = session.now
    session.left._begun.clear()
    assert session.estimate() == pytest.approx(20)


def test_an_earlier_session_says_how_long_trials_take():
    earlier = [made(Trial(number, Proposal(Genotype("{}")), 0), {"seconds": 5.0}) for number in range(2)]
    assert Session(6, earlier).estimate() == pytest.approx(4 * 5)


def test_promotions_are_shared_out_among_candidates():
    session = Session(8)
    for number in range(4):
        session.evaluate(number, 10, job=TrainRung(0, 0, 2, 0, 1, 2))
    session.evaluate(4, 8, job=TrainRung(0, 1, 2, 1, 1, 2, 0, 0))
    assert session.estimate() == pytest.approx(4 * (10 + 8 / 4))


def test_finals_have_their_share_of_the_training():
    session = Session(4, finalists=2, final_share=0.5)
    session.evaluate(0, 12, seconds=10.0)
    session.evaluate(1, 12, seconds=10.0)
    assert session.left.finals
    assert session.estimate() == pytest.approx(2 * 12 + 4 * 10)
    session.evaluate(2, 12, seconds=10.0)
    session.evaluate(3, 12, seconds=10.0)
    session.closed = True
    assert session.estimate() == pytest.approx(40)
    session.notes["finals"] = {"after": 4, "seconds": 40.0}
    session.evaluate(4, 7, seconds=6.0, job=TrainFinalist(4, 0, 0, 0, 1, 4))
    assert session.estimate() == pytest.approx(34)
    session.begin(5, TrainFinalist(4, 0, 1, 1, 3, 4, settles=True, continues=4))
    session.now += 14
    assert session.estimate() == pytest.approx(20)
    session.now += 16
    session.end(5, seconds=36.0)
    assert session.estimate() == 0


def test_a_limit_with_finals_is_used_to_its_end():
    session = Session(1000, finalists=2, time_limit="10m")
    assert session.estimate() == pytest.approx(600)
    session.evaluate(0, 10, seconds=9.0)
    assert session.estimate() == pytest.approx(590)
    session.now = 700
    assert session.estimate() == 0


def test_a_limit_without_finals_is_not_waited_for():
    session = Session(5, time_limit="10m")
    session.evaluate(0, 10)
    assert session.estimate() == pytest.approx(40)
    session.now = 595
    assert session.estimate() == pytest.approx(5)
