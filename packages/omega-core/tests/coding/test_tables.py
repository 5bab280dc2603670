import heapq
import math

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
    concatenate,
    cumulative_counts,
    interleave,
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


def test_the_bits_of_symbols_are_those_of_their_counts():
    tables = Tables(np.array([[0, TOTAL // 2, TOTAL - 1, TOTAL]]), np.array([[0]]), 3, 3)
    assert tables.bits(np.array([0, 0, 0])) == 3
    assert tables.bits(np.array([[[0, 2, 2]]])) == 1 + 16 + 16
    assert tables.bits(np.array([1, 0, 0])) == pytest.approx(2 - math.log2(32767 / 65536))


@pytest.mark.parametrize("positions", [1, 6])
def test_bits_follow_the_tables_of_each_channel_and_position(positions):
    tables = frozen(3, positions).tables(range(3), (2, 3), np.zeros((0, 2, 3), np.int64))
    symbols = np.random.default_rng(1).integers(0, 4, (3, 2, 3))
    expected = 0.0
    for channel in range(3):
        for position in range(6):
            row = tables.cumulative[channel * positions + position % positions]
            symbol = symbols[channel].reshape(-1)[position]
            expected -= math.log2((row[symbol + 1] - row[symbol]) / TOTAL)
    assert tables.bits(symbols) == pytest.approx(expected)


def test_runs_of_shared_tables_are_whole_channels():
    tables = frozen(3, 1).tables(range(1, 3), (2, 3), np.zeros((1, 2, 3), np.int64))
    assert (tables.channels, tables.positions, tables.size, tables.alphabet) == (2, 6, 12, 4)
    assert list(tables.runs()) == [(1, 6), (2, 6)]


def test_runs_of_tables_by_position_join_neighbors_with_one_table():
    tables = Tables(frozen(3, 1).cumulative, np.array([[0, 0, 1], [1, 1, 2]]), 3, 4)
    assert list(tables.runs()) == [(0, 2), (1, 3), (2, 1)]


@pytest.mark.parametrize("positions", [1, 6])
def test_tables_asked_for_in_parts_are_the_tables_of_all(positions):
    prior, size = frozen(5, positions), (2, 3)
    parts = [prior.tables(range(a, b), size, np.zeros((a, *size), np.int64)) for a, b in ((0, 1), (1, 3), (3, 5))]
    whole = prior.tables(range(5), size, np.zeros((0, *size), np.int64))
    assert list(concatenate(parts).runs()) == list(whole.runs())
    assert concatenate(parts).cumulative is whole.cumulative
    assert concatenate(parts[:1]) is parts[0]


def test_tables_of_different_priors_and_shapes_are_joined():
    one, other = frozen(2, 1), frozen(1, 6)
    symbols = np.random.default_rng(1).integers(0, 4, 18)
    parts = [p.tables(range(len(p.rows)), (2, 3), np.zeros((0, 2, 3), np.int64)) for p in (one, other)]
    joined = concatenate(parts)
    assert (joined.channels, joined.size) == (3, 18)
    assert joined.bits(symbols) == pytest.approx(parts[0].bits(symbols[:12]) + parts[1].bits(symbols[12:]))


def test_what_a_coder_derives_from_a_table_is_kept_with_it():
    prior = frozen(3, 1)
    nothing = np.zeros((0, 1, 1), np.int64)
    prior.tables(range(1), (1, 1), nothing).cache["model"] = "cached"
    assert prior.tables(range(3), (1, 1), nothing).cache == {"model": "cached"}


@pytest.mark.parametrize("positions", [1, 6])
def test_frozen_tables_come_back_from_their_arrays(positions):
    prior = frozen(3, positions)
    again = FrozenTables.from_arrays(prior.arrays())
    assert (again.cumulative == prior.cumulative).all()
    assert (again.rows == prior.rows).all()
    assert {array.dtype for array in prior.arrays().values()} == {np.dtype(np.int32)}


def test_tables_by_position_are_for_one_latent_size():
    with pytest.raises(ValueError, match="6 positions a channel, the latent has 9"):
        frozen(3, 6).tables(range(3), (3, 3), np.zeros((0, 3, 3), np.int64))


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


def test_without_a_prior_every_symbol_is_32_bits():
    tables = NoPrior().tables(range(2, 5), (2, 3), np.zeros((2, 2, 3), np.int64))
    assert (tables.cumulative, tables.alphabet, tables.size) == (None, 1 << 32, 18)
    assert tables.bits(np.zeros((3, 2, 3), np.int64)) == 32 * 18
    assert NoPrior().arrays() == {}


def test_tables_with_and_without_probabilities_are_not_joined():
    nothing = np.zeros((0, 2, 3), np.int64)
    with pytest.raises(ValueError, match="cannot be joined"):
        concatenate([p.tables(range(1), (2, 3), nothing) for p in (NoPrior(), frozen(1, 1))])


def each_row(tables):
    """The counts of every symbol, by channel and position."""
    rows = np.broadcast_to(tables.rows, (tables.channels, tables.positions))
    return tables.cumulative[rows]


def shared(cumulative, rows, positions):
    return Tables(cumulative, np.array(rows), positions, cumulative.shape[1] - 1)


@st.composite
def tables_of_pictures(draw):
    """Tables of 1 to 4 pictures: of one prior or of several, with one row a channel or one a position."""
    alphabet, channels = draw(st.integers(2, 5)), draw(st.integers(1, 4))
    priors = [frozen(5, 1, alphabet), frozen(3, 1, alphabet)]
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        cumulative = draw(st.sampled_from(priors)).cumulative
        positions = draw(st.integers(1, 6))
        shape = (channels + draw(st.integers(0, 2)), draw(st.sampled_from([1, positions])))
        rows = draw(arrays(np.int64, shape, elements=st.integers(0, len(cumulative) - 1)))
        parts.append(Tables(cumulative, rows, positions, alphabet))
    return parts


@given(tables_of_pictures())
def test_tables_of_pictures_beside_each_other_are_those_of_one_after_the_other_in_each_channel(parts):
    channels = min(part.channels for part in parts)
    together = interleave(parts)
    expected = np.concatenate([each_row(part)[:channels] for part in parts], axis=1)
    assert (together.channels, together.positions) == (channels, sum(part.positions for part in parts))
    assert together.alphabet == parts[0].alphabet
    assert (each_row(together) == expected).all()
    runs = [(together.cumulative[row].tolist(), many) for row, many in together.runs()]
    assert sum(many for _, many in runs) == together.size
    coded = np.concatenate([np.broadcast_to(row, (many, len(row))) for row, many in runs])
    assert (coded == expected.reshape(-1, expected.shape[2])).all()


@given(tables_of_pictures(), st.integers(0, 2**32))
def test_symbols_of_pictures_beside_each_other_take_the_bits_of_all(parts, seed):
    channels = min(part.channels for part in parts)
    parts = [Tables(part.cumulative, part.rows[:channels], part.positions, part.alphabet) for part in parts]
    rng = np.random.default_rng(seed)
    symbols = [rng.integers(0, part.alphabet, (channels, part.positions)) for part in parts]
    alone = sum(part.bits(each) for part, each in zip(parts, symbols, strict=True))
    assert interleave(parts).bits(np.concatenate(symbols, axis=1)) == pytest.approx(alone)


def test_pictures_that_share_their_rows_have_one_row_a_channel():
    prior = frozen(3, 1)
    parts = [prior.tables(range(1, 3), size, np.zeros((1, *size), np.int64)) for size in ((2, 3), (1, 1), (4, 4))]
    together = interleave(parts)
    assert together.cumulative is prior.cumulative
    assert together.rows.tolist() == [[1], [2]]
    assert list(together.runs()) == [(1, 23), (2, 23)]
    assert together.cache is prior.cache


def test_pictures_of_one_prior_with_other_rows_keep_its_cumulative_tables():
    prior = frozen(3, 1)
    together = interleave([shared(prior.cumulative, [[0], [1]], 2), shared(prior.cumulative, [[2], [1]], 1)])
    assert together.cumulative is prior.cumulative
    assert together.rows.tolist() == [[0, 0, 2], [1, 1, 1]]


def test_tables_without_probabilities_are_beside_each_other_too():
    parts = [NoPrior().tables(range(3), size, np.zeros((0, *size), np.int64)) for size in ((2, 3), (1, 5))]
    together = interleave(parts)
    assert (together.cumulative, together.channels, together.positions) == (None, 3, 11)
    assert (together.size, together.alphabet, list(together.runs())) == (33, 1 << 32, [(0, 11)] * 3)


def test_tables_with_and_without_probabilities_are_not_beside_each_other():
    nothing = np.zeros((0, 2, 3), np.int64)
    with pytest.raises(ValueError, match="cannot be joined"):
        interleave([prior.tables(range(1), (2, 3), nothing) for prior in (frozen(1, 1), NoPrior())])


def least_bits(tables, end):
    """What the first symbols cost if each is the likeliest, one after the other."""
    greatest = np.diff(each_row(tables).reshape(-1, tables.alphabet + 1), axis=1).max(axis=1)
    return math.fsum(16 - math.log2(count) for count in greatest[:end].tolist())


@given(tables_of_pictures())
def test_the_least_bits_are_those_of_the_likeliest_symbols_at_every_end(parts):
    for tables in (*parts, interleave(parts)):
        ends = list(range(tables.size + 1))
        assert tables.least_bits(ends) == pytest.approx([least_bits(tables, end) for end in ends], abs=1e-9)
        assert tables.least_bits([tables.size]) == pytest.approx([least_bits(tables, tables.size)])


def test_the_least_bits_may_end_inside_of_a_channel():
    cumulative = np.array([[0, TOTAL // 2, TOTAL], [0, TOTAL // 4, TOTAL]])
    by_channel, by_position = shared(cumulative, [[0], [1]], 4), shared(cumulative, [[0, 1], [1, 0]], 2)
    step = -math.log2(3 / 4)
    assert by_channel.least_bits([0, 1, 3, 4, 5, 8]) == pytest.approx([0, 1, 3, 4, 4 + step, 4 + 4 * step])
    assert by_position.least_bits([1, 2, 3, 4]) == pytest.approx([1, 1 + step, 1 + 2 * step, 2 + 2 * step])
    assert by_channel.least_bits([4, 4]) == [4.0, 4.0]


def test_the_least_bits_of_a_long_stream_are_told_at_once():
    cumulative = np.array([[0, TOTAL // 2, TOTAL], [0, TOTAL // 4, TOTAL]])
    tables = shared(cumulative, [[0], [1]], 10**9)
    assert tables.least_bits([10**9 - 1, 10**9, 2 * 10**9]) == pytest.approx(
        [10**9 - 1, 10**9, 10**9 * (1 - math.log2(3 / 4))], rel=1e-12
    )


def test_without_a_prior_no_symbol_takes_less_than_32_bits():
    tables = NoPrior().tables(range(2), (2, 3), np.zeros((0, 2, 3), np.int64))
    assert tables.least_bits([0, 1, 7, 12]) == [0, 32, 7 * 32, 12 * 32]


def test_nothing_takes_no_bits():
    tables = Tables(frozen(2, 1).cumulative, np.zeros((0, 1), np.int64), 4, 4)
    assert (tables.least_bits([0]), tables.least_bits([])) == ([0], [])


@given(tables_of_pictures(), st.integers(0, 2**32))
def test_no_symbols_cost_less_than_the_least_bits(parts, seed):
    tables = interleave(parts)
    symbols = np.random.default_rng(seed).integers(0, tables.alphabet, tables.size)
    assert tables.bits(symbols) >= tables.least_bits([tables.size])[0] - 1e-9
    likeliest = np.diff(each_row(tables), axis=2).argmax(axis=2)
    assert tables.bits(likeliest) == pytest.approx(tables.least_bits([tables.size])[0])
