"""What models are shown: corrupted examples, and parts of them."""

import math

import pytest
import torch

from evaluators.autoencoder.bounds import as_autoencoder
from evaluators.autoencoder.corruption import change_examples, corrupt, hide
from evaluators.autoencoder.families import training_loss
from evaluators.autoencoder.scores import score_reconstructions
from evaluators.autoencoder.vectors import number_columns

WORDS = (slice(1, 4), slice(5, 7))


def draw(seed=0):
    return torch.Generator().manual_seed(seed)


def table(rows=400):
    """Two numbers and two columns of words, of which some are missing."""
    x = torch.randn(rows, 7, generator=draw(5))
    for columns in WORDS:
        x[:, columns] = torch.eye(columns.stop - columns.start)[torch.arange(rows) % 2]
    x[::10, 0], x[::7, WORDS[0]] = math.nan, math.nan
    return x


class Echo(torch.nn.Module):
    """Gives back what it sees, and 0.2 for what is missing."""

    variational = False
    output = decoder = torch.nn.Identity()

    def encode(self, examples):
        return examples.nan_to_num(0.2)


def test_columns_are_numbered_and_words_share_one():
    assert number_columns(7, WORDS) == [0, 1, 1, 1, 2, 3, 3]
    assert number_columns(3, ()) == [0, 1, 2]
    assert number_columns(5, (slice(0, 2), slice(2, 5))) == [0, 0, 1, 1, 1]


@pytest.mark.parametrize("kind", ["masking", "salt_and_pepper"])
def test_a_share_of_an_images_values_becomes_black_or_white(kind):
    images = torch.full((50, 3, 20, 20), 0.5)
    seen = corrupt(images, {"corruption": kind, "corrupted_share": 0.25}, (), draw())
    hit = seen != 0.5
    assert hit.float().mean().item() == pytest.approx(0.25, abs=0.01)
    values, counts = seen[hit].unique(return_counts=True)
    assert values.tolist() == ([0.0] if kind == "masking" else [0.0, 1.0])
    assert counts.max() < 1.1 * counts.min()


@pytest.mark.parametrize("kind", ["masking", "salt_and_pepper"])
def test_columns_of_a_table_are_hit_whole_and_what_is_missing_stays_so(kind):
    x = table()
    seen = corrupt(x, {"corruption": kind, "corrupted_share": 0.4}, WORDS, draw())
    assert torch.equal(seen.isnan(), x.isnan())
    changed = (seen != x) & ~x.isnan()
    for place in (0, 4):
        known = x[~x[:, place].isnan(), place]
        hits = changed[:, place].sum().item() / len(known)
        assert hits == pytest.approx(0.4, abs=0.08)
        extremes = {known.min().item(), known.max().item()}
        assert {*seen[changed[:, place], place].tolist()} == ({0.0} if kind == "masking" else extremes)
    for columns in WORDS:
        sums = seen[:, columns].sum(1)[~x[:, columns.start].isnan()]
        if kind == "masking":
            assert sums.mean().item() == pytest.approx(0.6, abs=0.08)
        else:
            assert (sums == 1).all()
            assert (seen[:, columns].nansum(0) > 0).all()


def test_gaussian_noise_is_what_there_was_before_there_were_kinds():
    images = torch.rand(3, 1, 8, 8)
    before, asked = change_examples(images, {"noise_variance": 0.1}, (), draw())
    now, _ = change_examples(images, {"corruption": "gaussian", "noise_variance": 0.1}, (), draw())
    assert asked is None
    assert torch.equal(now, before)
    assert change_examples(images, {"loss": "mse"}, (), draw())[0] is images


@pytest.mark.parametrize(("shape", "patches", "side"), [((3, 28, 28), 7, 4), ((1, 13, 10), 4, 4), ((1, 8, 8), 14, 1)])
def test_square_patches_of_all_channels_are_hidden_and_grey(shape, patches, side):
    images = torch.rand(20, *shape, generator=draw(1))
    seen, hidden = hide(images, 0.5, patches, (), draw())
    assert torch.equal(seen[~hidden], images[~hidden])
    assert (seen[hidden] == 0.5).all()
    assert (hidden == hidden[:, :1]).all()
    spots = hidden[:, 0, ::side, ::side]
    whole = spots.repeat_interleave(side, 1).repeat_interleave(side, 2)[:, : shape[1], : shape[2]]
    assert torch.equal(whole, hidden[:, 0])
    assert set(spots.flatten(1).sum(1).tolist()) == {round(0.5 * spots[0].numel())}
    assert len({tuple(row) for row in spots.flatten(1).tolist()}) > 10


def test_hidden_columns_are_missing_and_one_is_always_seen():
    x = table()
    seen, hidden = hide(x, 0.5, 7, WORDS, draw())
    assert seen[hidden].isnan().all()
    assert torch.equal(seen[~hidden].nan_to_num(9), x[~hidden].nan_to_num(9))
    assert all((hidden[:, columns] == hidden[:, columns.start, None]).all() for columns in WORDS)
    starts = [0, 1, 4, 5]
    assert (hidden[:, starts].sum(1) == 2).all()
    assert (hidden[:, starts].float().mean(0) - 0.5).abs().max() < 0.1
    assert (hide(x, 0.99, 7, WORDS, draw())[1][:, starts].sum(1) == 3).all()
    assert (hide(x, 0.01, 7, WORDS, draw())[1][:, starts].sum(1) == 1).all()


@pytest.mark.parametrize("loss", ["mse", "bce"])
def test_a_masked_model_is_asked_for_what_is_hidden_alone(loss):
    images = torch.rand(30, 1, 8, 8, generator=draw(2))
    chosen = {"family": "masked", "loss": loss, "masked_share": 0.5, "patches_a_side": 4}
    found = training_loss(as_autoencoder(Echo()), images, chosen, 0.0, draw())
    _, hidden = hide(images, 0.5, 4, (), draw())
    x, given = images[hidden], torch.full((int(hidden.sum()),), 0.5)
    wanted = (given - x).square().mean()
    if loss == "bce":
        wanted = torch.nn.functional.binary_cross_entropy_with_logits(given, x)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    metrics = score_reconstructions(as_autoencoder(Echo()), images, chosen, 0).metrics
    assert metrics["mse"] == 0
    assert metrics["masked_mse"] == pytest.approx((given - x).square().mean().item(), rel=1e-5)


def test_of_a_table_hidden_numbers_count_and_missing_ones_do_not():
    x = table()[:, [0, 4]]
    chosen = {"family": "masked", "masked_share": 0.5}
    found = training_loss(as_autoencoder(Echo()), x, chosen, 0.0, draw())
    _, hidden = hide(x, 0.5, 1, (), draw())
    wanted = (x - 0.2)[hidden & ~x.isnan()].square().mean().item()
    assert found.item() == pytest.approx(wanted, rel=1e-5)
    metrics = score_reconstructions(as_autoencoder(Echo()), x, chosen, 0).metrics
    assert metrics["masked_mse"] == pytest.approx(wanted, rel=1e-5)


def test_a_denoiser_is_scored_under_its_own_corruption():
    images = torch.full((200, 1, 8, 8), 0.5)
    chosen = {"corruption": "masking", "corrupted_share": 0.4}
    scores = score_reconstructions(as_autoencoder(Echo()), images, chosen, 0)
    assert scores.metrics["denoising_mse"] == pytest.approx(0.4 * 0.25, rel=0.05)
    assert set(scores.rows[1].unique().tolist()) == {0.0, 0.5}
