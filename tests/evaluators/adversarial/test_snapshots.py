"""Which snapshot of a GAN is kept, when its training ends, and what counts as collapsed."""

import math

from evaluators.adversarial.collapse import find_collapse
from evaluators.adversarial.snapshots import Snapshot, Snapshots


def snapshots(fids, epochs=100, samples=2000, deviations=None, updates=250, **scores):
    """What is kept, and after which epoch, of so many updates, the training is to end."""
    kept = Snapshots(epochs, samples, 0.25, 10)
    for epoch, fid in enumerate(fids, start=1):
        found = {
            "fid": fid,
            "sample_deviation": deviations[epoch - 1] if deviations else 0.2,
            "modes": 10.0,
            "label_entropy": 2.3,
        } | scores
        kept.add(Snapshot(epoch, found, b"picture", b"tensors"), updates * epoch)
        if kept.ended:
            return kept, epoch
    return kept, None


def test_training_ends_after_half_of_its_epochs_without_progress():
    assert snapshots([50.0] * 100, epochs=100)[1] == 51
    assert snapshots([50.0] * 8, epochs=8)[1] == 6  # never before five have passed
    assert snapshots([50.0] * 4, epochs=4)[1] == 4
    slow = [50 * 0.99**epoch for epoch in range(100)]  # a hundredth an epoch is progress in the long run
    assert snapshots(slow, epochs=100)[1] == 100
    noise = [50 + (-1) ** epoch for epoch in range(100)]  # within what draws of 2,000 samples differ by
    assert snapshots(noise, epochs=100)[1] == 51
    assert snapshots([50.0] * 40 + [40.0] + [60.0] * 100, epochs=200)[0].best.epoch == 41


def test_training_ends_where_images_are_alike_and_a_sound_snapshot_is_kept():
    sound, ended = snapshots([50, 30, 20, 60, 60, 60, 60, 60, 60], 9, deviations=[0.2] * 3 + [0.0] * 6)
    assert ended == 5
    assert sound.best.epoch == 3
    assert sound.collapsed is None
    alike, ended = snapshots([9.0] * 9, 9, deviations=[0.0] * 9)
    assert ended == 5  # the first third does not count
    assert "sample_deviation" in alike.collapsed
    assert snapshots([9.0] * 6, 6, deviations=[0.2, 0.2, 0.0, 0.2, 0.0, 0.2])[1] == 6


def test_images_that_are_alike_say_nothing_before_500_updates_nor_while_they_differ_more_and_more():
    fids = [50 * 0.9**epoch for epoch in range(30)]  # it learns
    young, ended = snapshots(fids, 30, deviations=[0.0] * 30, updates=10)
    assert (ended, young.mature) == (30, False)
    assert snapshots(fids, 30, deviations=[0.0] * 30, updates=48)[1] == 12  # 528 and 576 updates
    rising = [0.001 * 1.2**epoch for epoch in range(30)]
    assert snapshots(fids, 30, deviations=rising, updates=100)[1] == 30
    assert snapshots(fids, 30, deviations=[0.0001 + 0.001 * (epoch % 3 == 1) for epoch in range(30)])[1] == 13


def test_the_collapse_rule():
    good = {"sample_deviation": 0.2, "modes": 10.0, "label_entropy": math.log(10), "coverage": 0.5}
    assert find_collapse(good, 0.25, 10) is None
    assert find_collapse(good | {"sample_deviation": 0.0624}, 0.25, 10).startswith(
        "sample_deviation 0.0624 is under 0.0625"
    )
    five, four = ({"modes": float(m), "label_entropy": math.log(m) - 1e-9} for m in (5, 4))
    assert find_collapse(good | five, 0.25, 10) is None
    assert "modes 4 is under 50% of the 10 classes" in find_collapse(good | four, 0.25, 10)
    assert (
        find_collapse(good | {"modes": 2.0, "label_entropy": math.log(6)}, 0.25, 10) is None
    )  # blurred, and all different
    assert find_collapse(good | {"coverage": 0.0}, 0.25, 10) is None  # where there are labels, modes say it
    assert find_collapse(good | {"coverage": 0.01}, 0.25, 0).startswith("coverage 0.01")


def test_a_training_that_came_to_its_last_epoch_goes_on_with_more():
    kept, ended = snapshots([9.0, 8.0, 7.0], 3)
    assert ended == 3
    again = Snapshots(30, 2000, 0.25, 0)
    again.restore(kept.state())
    assert not again.ended
    assert again.best.epoch == 3
    hopeless, ended = snapshots([9.0] * 9, 9, deviations=[0.0] * 9)
    again.restore(hopeless.state())
    assert again.ended
