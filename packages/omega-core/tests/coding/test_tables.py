import heapq
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omega_core.coding.tables import (
    MAX_ALPHABET,
    TOTAL,
    FrozenTables,
    NoPrior,
    Tables,
    cumulative_counts,
)

SYMBOLS = np.arange(256)
SMOOTH = {
    "uniform": np.ones(256),
    "gaussian": np.exp(-(((SYMBOLS - 127.5) / 60) ** 2) / 2),
    "laplacian": np.exp(-abs(SYMBOLS - 100) / 40),
    "geometric": 0.98**SYMBOLS,
    "cauchy": 1 / (1 + ((SYMBOLS - 90) / 10) ** 2),
}
PEAKED = {
    "narrow gaussian": np.exp(-(((SYMBOLS - 127.5) / 4) ** 2) / 2),
    "narrow geometric": 0.8**SYMBOLS,
    "one certain symbol": (SYMBOLS == 200) * 1.0,
    "two of 256": (SYMBOLS % 128 == 5) * 1.0,
    "half, and all others": np.where(SYMBOLS == 7, 255.0, 1.0),
}


def bits(probabilities, counts):
    return -(probabilities * np.log2(counts / TOTAL)).sum()


def best_counts(probabilities):
    """The optimum, one unit after the other to whoever gains most: right, as the cost is convex, but slow."""
    counts = [1] * len(probabilities)
    gains = [(-p, i) for i, p in enumerate(probabilities)]
    heapq.heapify(gains)
    for _ in range(TOTAL - len(counts)):
        i = gains[0][1]
        counts[i] += 1
        heapq.heapreplace(gains, (-probabilities[i] * math.log2((counts[i] + 1) / counts[i]), i))
    return np.array(counts)


def check(cumulative, shape):
    assert cumulative.shape == (shape[0], shape[1] + 1)
    assert cumulative.dtype == np.int64
    assert (cumulative[:, 0] == 0).all()
    assert (cumulative[:, -1] == TOTAL).all()
    assert (np.diff(cumulative) >= 1).all()


@given(arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(2, 40)), elements=st.floats(0, 1e6)))
def test_counts_sum_to_the_total_and_none_is_zero(probabilities):
    check(cumulative_counts(probabilities), probabilities.shape)


@pytest.mark.parametrize("alphabet", [2, 3, 255, 256, 257, 1000, 1024, MAX_ALPHABET])
@pytest.mark.parametrize("spread", [0.001, 0.05, 1, 100])
def test_counts_are_tables_for_any_alphabet_and_spread(alphabet, spread):
    probabilities = np.random.default_rng(alphabet).dirichlet(np.full(alphabet, spread), 4)
    check(cumulative_counts(np.nan_to_num(probabilities)), (4, alphabet))


@pytest.mark.parametrize("probabilities", SMOOTH.values(), ids=SMOOTH)
def test_counts_of_smooth_probabilities_cost_their_entropy(probabilities):
    probabilities = probabilities / probabilities.sum()
    counts = np.diff(cumulative_counts(probabilities[None]))[0]
    entropy = -(probabilities * np.log2(probabilities)).sum()
    assert entropy <= bits(probabilities, counts) <= entropy + 1e-4


@pytest.mark.parametrize("probabilities", (SMOOTH | PEAKED).values(), ids=SMOOTH | PEAKED)
def test_counts_are_as_good_as_integers_can_be(probabilities):
    probabilities = probabilities / probabilities.sum()
    counts = np.diff(cumulative_counts(probabilities[None]))[0]
    assert bits(probabilities, counts) <= bits(probabilities, best_counts(probabilities)) + 1e-4


def test_probabilities_need_not_be_normalized():
    probabilities = SMOOTH["laplacian"][None]
    assert (cumulative_counts(probabilities * 1000) == cumulative_counts(probabilities)).all()


def test_a_row_of_zeros_is_uniform():
    assert (np.diff(cumulative_counts(np.zeros((1, 256)))) == 256).all()


def test_each_row_is_on_its_own():
    rows = np.stack(list((SMOOTH | PEAKED).values()))
    together = cumulative_counts(rows)
    assert all((cumulative_counts(row[None])[0] == counts).all() for row, counts in zip(rows, together, strict=True))


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.1])
def test_what_is_no_probability_is_refused(value):
    with pytest.raises(ValueError, match="finite and not negative"):
        cumulative_counts(np.array([[0.5, value]]))


@pytest.mark.parametrize("alphabet", [0, 1, MAX_ALPHABET + 1, TOTAL // 2, TOTAL + 1])
def test_an_alphabet_too_large_or_without_a_choice_is_refused(alphabet):
    with pytest.raises(ValueError, match=f"an alphabet has 2 to 4096 symbols, not {alphabet}$"):
        cumulative_counts(np.ones((1, alphabet)))


def frozen(channels, positions, alphabet=4):
    return FrozenTables.from_probabilities(
        np.random.default_rng(channels).dirichlet(np.ones(alphabet), (channels, positions))
    )


def of_rows(*rows, alphabet=3):
    """Tables of these rows, all different."""
    cumulative = np.sort(np.random.default_rng(0).choice(np.arange(1, TOTAL), (8, alphabet - 1), replace=False))
    return Tables(np.pad(cumulative, ((0, 0), (1, 1)), constant_values=(0, TOTAL)), np.array(rows, int), alphabet)


def test_the_bits_of_symbols_are_those_of_their_counts():
    tables = Tables(np.array([[0, TOTAL // 2, TOTAL - 1, TOTAL]]), np.zeros(3, int), 3)
    assert tables.bits(np.array([0, 0, 0])) == 3
    assert tables.bits(np.array([0, 2, 2])) == 1 + 16 + 16
    assert tables.bits(np.array([1, 0, 0])) == pytest.approx(2 - math.log2(32767 / 65536))
    assert tables.bits_of_each(np.array([0, 2, 0])).tolist() == [1, 16, 1]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2)), max_size=20))
def test_each_symbol_has_the_bits_of_its_own_row(pairs):
    tables, symbols = of_rows(*(row for row, _ in pairs)), np.array([symbol for _, symbol in pairs], int)
    rows = tables.cumulative[tables.rows]
    wanted = [-math.log2((row[s + 1] - row[s]) / TOTAL) for row, s in zip(rows, symbols, strict=True)]
    assert tables.bits_of_each(symbols) == pytest.approx(wanted)
    assert tables.bits(symbols) == pytest.approx(sum(wanted))


@given(st.lists(st.integers(0, 3), max_size=20))
def test_runs_are_the_longest_with_one_row(rows):
    starts, found = of_rows(*rows).runs
    assert np.repeat(found, np.diff(starts)).tolist() == rows
    assert (np.diff(starts) > 0).all()
    assert (np.diff(found) != 0).all()
    assert starts[-1] == len(rows)


@pytest.mark.parametrize(("start", "stop"), [(0, 5), (2, 4), (3, None), (1, 1), (5, 5), (2, 99)])
def test_a_part_has_the_rows_of_its_symbols_and_shares_all_else(start, stop):
    tables = of_rows(0, 1, 1, 5, 2)
    part = tables.part(start, stop)
    assert part.rows.tolist() == [0, 1, 1, 5, 2][start:stop]
    assert part.size == len(part.rows)
    assert part.cumulative is tables.cumulative
    assert part.cache is tables.cache
    assert part.alphabet == 3


def test_rows_may_be_of_any_integer_type():
    for dtype in (np.uint8, np.int16, np.uint16, np.int64):
        tables = Tables(of_rows().cumulative, np.array([3, 3, 1], dtype), 3)
        assert [each.tolist() for each in tables.runs] == [[0, 2, 3], [3, 1]]
        assert tables.bits(np.array([0, 1, 2])) == of_rows(3, 3, 1).bits(np.array([0, 1, 2]))


def rows_of(prior, size):
    """The rows of the symbols (C, h, w) of a picture, by place."""
    steps = list(prior.steps(np.zeros((len(prior.rows), *size), np.int64)))
    rows = np.empty(sum(step.indices.size for step in steps), np.int64)
    for step in steps:
        rows[step.indices] = step.rows
    return rows.reshape(len(prior.rows), *size)


@pytest.mark.parametrize("size", [(2, 3), (1, 6), (6, 1)])
def test_frozen_tables_are_those_of_each_channel_and_position(size):
    assert np.array_equal(rows_of(frozen(3, 6), size), np.arange(18).reshape(3, *size))
    assert np.array_equal(rows_of(frozen(3, 1), size), np.arange(3)[:, None, None].repeat(6, 1).reshape(3, *size))


def test_frozen_tables_have_an_alphabet_and_keep_what_coders_derive():
    prior = frozen(3, 1, 5)
    assert (prior.alphabet, prior.cache) == (5, {})


@pytest.mark.parametrize("positions", [1, 6])
def test_frozen_tables_come_back_from_their_arrays(positions):
    prior = frozen(3, positions)
    again = FrozenTables.from_arrays(prior.arrays())
    assert (again.cumulative == prior.cumulative).all()
    assert (again.rows == prior.rows).all()
    assert {array.dtype for array in prior.arrays().values()} == {np.dtype(np.int32)}


@pytest.mark.parametrize("shape", [(3, 3, 3), (2, 2, 3), (4, 2, 3)])
def test_frozen_tables_are_for_their_channels_and_latent_size(shape):
    with pytest.raises(ValueError, match="for 3 channels and 6 positions a channel, the symbols have"):
        list(frozen(3, 6).steps(np.zeros(shape, np.int64)))


GOOD = np.array([[0, 1, TOTAL], [0, 2, TOTAL]])
ROWS = np.array([[0], [1]])


@pytest.mark.parametrize(
    ("cumulative", "rows"),
    [
        (GOOD - 1, ROWS),
        (GOOD + np.array([0, 0, 1]), ROWS),
        (np.array([[0, 0, TOTAL]]), np.array([[0]])),
        (np.array([[0, 5, 4, TOTAL]]), np.array([[0]])),
        (GOOD, ROWS + 1),
        (GOOD, ROWS - 1),
        (GOOD, ROWS[:0]),
        (GOOD[0], ROWS),
        (GOOD, ROWS[:, 0]),
        (GOOD.astype(np.float64), ROWS),
        (GOOD, ROWS.astype(np.int32)),
    ],
)
def test_integers_that_are_no_tables_are_refused(cumulative, rows):
    FrozenTables(GOOD, ROWS)
    with pytest.raises(ValueError, match=r"frozen prior|every row|rows point"):
        FrozenTables(cumulative, rows)


def test_arrays_of_a_model_file_that_are_no_integers_or_are_missing_are_refused():
    arrays = frozen(2, 1).arrays()
    with pytest.raises(ValueError, match="are integers"):
        FrozenTables.from_arrays(arrays | {"rows": arrays["rows"].astype(np.float32)})
    with pytest.raises(KeyError, match="rows"):
        FrozenTables.from_arrays({"cumulative": arrays["cumulative"]})


def test_tables_of_16_bits_have_0_for_their_total():
    arrays = frozen(2, 1).arrays()
    again = FrozenTables.from_arrays(arrays | {"cumulative": arrays["cumulative"].astype(np.uint16)})
    assert np.array_equal(again.cumulative, arrays["cumulative"])


def test_tables_in_the_place_of_others_have_nothing_of_what_coders_derived():
    prior = frozen(2, 1)
    prior.cache["bits"] = "of these"
    other = replace(prior, cumulative=frozen(2, 1, 5).cumulative)
    assert (other.cache, prior.cache) == ({}, {"bits": "of these"})


def test_without_a_prior_every_symbol_is_32_bits():
    prior = NoPrior()
    [step] = prior.steps(np.zeros((3, 2, 3), np.int64))
    assert step.indices.tolist() == list(range(18))
    tables = Tables(prior.cumulative, step.rows, prior.alphabet)
    assert (tables.cumulative, tables.alphabet, tables.size) == (None, 1 << 32, 18)
    assert tables.bits(np.zeros(18, np.int64)) == 32 * 18
    assert prior.arrays() == {}
