"""Columns: standardised by the training part, back again, and as JSON, whatever is missing."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nas.data.columns import Column, find_places, from_json, standardise, to_json, unscale_examples

numbers = st.one_of(st.floats(-(2.0**100), 2.0**100, width=32), st.just(np.nan), st.integers(-3, 3).map(float))
COLUMNS = (Column("height"), Column("colour", ("blue", "red")), Column("weight"))


def of_columns(train, columns):
    return standardise(torch.as_tensor(train), columns=columns)


@given(arrays(np.float64, (12, 4), elements=numbers))
def test_numbers_get_mean_0_and_deviation_1_and_come_back(table):
    table[:, 1:3] = np.eye(2)[np.arange(12) % 2]
    table[3, 1:3] = np.nan
    (scaled,), fitted = of_columns(table, COLUMNS)
    assert scaled.dtype == torch.float32
    assert np.array_equal(np.isnan(scaled.numpy()), np.isnan(table))
    assert np.array_equal(scaled[:, 1:3].numpy(), table[:, 1:3], equal_nan=True)
    for column, place in zip(fitted, (0, slice(1, 3), 3), strict=True):
        if column.values:
            assert (column.mean, column.deviation) == (0, 1)
            continue
        held, own = table[:, place], scaled[:, place].double().numpy()
        held, own = held[~np.isnan(held)], own[~np.isnan(own)]
        if not len(held):
            assert (column.mean, column.deviation) == (0, 1)
        elif len(set(held)) == 1:
            assert column.deviation == 1
            assert own == pytest.approx(0, abs=1e-9 * max(1, abs(held[0])))
        else:
            assert own.mean() == pytest.approx(0, abs=1e-5)
            assert own.std() == pytest.approx(1, abs=1e-5)
    largest = np.nanmax(np.abs(table)) if not np.isnan(table).all() else 1
    assert np.allclose(unscale_examples(scaled, fitted), table, rtol=1e-5, atol=1e-6 * largest, equal_nan=True)


def test_the_training_part_decides_and_others_are_scaled_alike():
    train, other = torch.tensor([[1.0], [3.0], [np.nan]]), torch.tensor([[5.0], [np.nan]])
    (first, second), (column,) = standardise(train, other, columns=[Column("x")])
    assert column == Column("x", mean=2.0, deviation=1.0)
    assert first[:2, 0].tolist() == [-1, 1]
    assert second[0].item() == 3
    assert second[1].isnan().all()


def test_the_channels_of_sequences_are_columns():
    sequences = torch.randn(30, 2, 7) * torch.tensor([[5.0], [0.1]]) + torch.tensor([[100.0], [-3.0]])
    (scaled,), fitted = of_columns(sequences, [Column("0"), Column("1")])
    assert scaled.mean((0, 2)).abs().max() < 1e-4
    assert torch.allclose(scaled.std((0, 2), correction=0), torch.ones(2), atol=1e-4)
    assert torch.allclose(unscale_examples(scaled, fitted).float(), sequences, atol=1e-4)


@pytest.mark.parametrize("numbers", [[1.7e9, 1.7e9 + 1, 1.7e9 + 2], [1e-30, 2e-30, 3e-30], [1e38, 2e38, 3e38]])
def test_small_differences_and_small_and_large_numbers_keep_their_digits(numbers):
    (scaled,), _ = of_columns(np.array(numbers)[:, None], [Column("x")])
    assert scaled[:, 0].numpy() == pytest.approx([-(1.5**0.5), 0, 1.5**0.5], rel=1e-6)


def test_equal_numbers_are_left_at_zero_though_their_mean_is_rounded():
    (scaled,), (column,) = of_columns(np.full((10, 1), 0.1), [Column("x")])
    assert column.deviation == 1
    assert scaled.abs().max() < 1e-15


def test_places_follow_widths_and_json_keeps_all():
    assert find_places(COLUMNS) == (slice(0, 1), slice(1, 3), slice(3, 4))
    assert [column.width for column in COLUMNS] == [1, 2, 1]
    fitted = (*COLUMNS, Column("grösse, cm", mean=0.1, deviation=1 / 3))
    assert from_json(json.loads(json.dumps(to_json(fitted)))) == fitted
