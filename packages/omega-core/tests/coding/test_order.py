"""The order of coding, with a prior that has several steps."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega_core.coding.order import SymbolArrays, coding_steps, even_counts, geometric_counts, in_order
from omega_core.coding.tables import MISSING, FrozenPrior, FrozenTables, NoPrior, Step

C = 3
CUMULATIVE = FrozenTables.from_probabilities(np.random.default_rng(0).dirichlet(np.ones(6), (40, 1))).cumulative
SIZES = [(2, 3), (1, 1), (3, 1), (4, 4)]


class ByColumn(FrozenPrior):
    """Every third column is a step in each channel. The row of a position depends on the sum of all earlier symbols."""

    cumulative = CUMULATIVE

    def __init__(self):
        self.cache = {}

    def steps(self, symbols):
        columns = np.arange(symbols[0].size) % symbols.shape[2] % 3
        before = 0
        for channel in range(C):
            for column in range(3):
                places = channel * len(columns) + np.flatnonzero(columns == column)
                yield Step(places, (before + 7 * places) % len(CUMULATIVE))
                before += int(symbols.reshape(-1)[places].sum())

    def arrays(self):
        return {}


def pictures(*sizes):
    chance = np.random.default_rng(len(sizes))
    return [chance.integers(0, 6, (C, *size)) for size in sizes]


def by_hand(symbols):
    """(symbol, row) of each symbol of some pictures, as the definition has it."""
    before = [0] * len(symbols)
    for c in range(C):
        for column in range(3):
            step = []
            for number, each in enumerate(symbols):
                height, width = each.shape[1:]
                there = [(y, x) for y, x in np.ndindex(height, width) if x % 3 == column]
                for y, x in there:
                    place = (c * height + y) * width + x
                    step.append((each[c, y, x], (before[number] + 7 * place) % len(CUMULATIVE)))
                before[number] += sum(each[c, y, x] for y, x in there)
            yield from sorted(step, key=lambda pair: pair[1])  # which keeps the order of those with one row


@pytest.mark.parametrize("sizes", [SIZES[:1], SIZES[1:2], SIZES[2:3], SIZES])
def test_steps_follow_each_other_and_their_symbols_the_rows(sizes):
    symbols = pictures(*sizes)
    arrays = SymbolArrays.of(symbols)
    places, tables = in_order(ByColumn(), arrays)
    wanted = list(by_hand(symbols))
    assert arrays.flat[places].tolist() == [symbol for symbol, _ in wanted]
    assert tables.rows.tolist() == [row for _, row in wanted]
    assert sorted(places.tolist()) == list(range(sum(each.size for each in symbols)))


@pytest.mark.parametrize("sizes", [SIZES[:1], SIZES[1:2], SIZES])
def test_a_decoder_that_lacks_later_symbols_has_the_same_steps(sizes):
    arrays = SymbolArrays.of(pictures(*sizes))
    places, tables = in_order(ByColumn(), arrays)
    decoded, done = SymbolArrays(C, sizes), 0
    for step in coding_steps(ByColumn(), decoded):
        end = done + step.tables.size
        assert np.array_equal(step.indices, places[done:end])
        assert np.array_equal(step.tables.rows, tables.rows[done:end])
        decoded.flat[step.indices] = arrays.flat[step.indices]
        done = end
    assert done == tables.size
    assert np.array_equal(decoded.flat, arrays.flat)


def test_tables_of_steps_are_those_of_the_prior():
    prior = ByColumn()
    _, tables = in_order(prior, SymbolArrays.of(pictures((2, 3))))
    assert tables.cumulative is prior.cumulative
    assert tables.cache is prior.cache
    assert tables.alphabet == 6


def test_all_channels_are_one_step_where_the_rows_of_each_come_after_those_before():
    prior = FrozenTables(CUMULATIVE, np.arange(C)[:, None])
    symbols = pictures((2, 3), (1, 1))
    [step] = coding_steps(prior, SymbolArrays.of(symbols))
    wanted = np.concatenate([each.reshape(C, -1) for each in symbols], axis=1)
    assert np.array_equal(SymbolArrays.of(symbols).flat[step.indices], wanted.reshape(-1))
    assert np.array_equal(step.tables.rows, np.repeat(np.arange(C), 7))


@pytest.mark.parametrize("rows", [[5, 5, 1], [1, 1, 5]])
def test_channels_whose_rows_do_not_rise_are_steps_of_their_own(rows):
    prior = FrozenTables(CUMULATIVE, np.array(rows)[:, None])
    steps = list(coding_steps(prior, SymbolArrays.of(pictures((2, 3), (1, 1)))))
    assert [step.tables.rows.tolist() for step in steps] == [[row] * 7 for row in rows]


def test_symbols_without_probabilities_are_in_the_order_of_pictures():
    places, tables = in_order(NoPrior(), SymbolArrays.of(pictures((2, 3), (1, 1))))
    assert places.tolist() == list(range(21))
    assert (tables.cumulative, tables.size) == (None, 21)


def test_symbol_arrays_are_missing_until_they_are_known():
    arrays = SymbolArrays(C, SIZES)
    assert [each.shape for each in arrays.pictures] == [(C, *size) for size in SIZES]
    assert all((each == MISSING).all() for each in arrays.pictures)
    arrays.flat[:] = np.arange(len(arrays.flat))
    assert arrays.pictures[1].reshape(-1).tolist() == [18, 19, 20]


def test_symbol_arrays_of_a_single_picture_are_its_symbols_and_else_a_copy():
    [one] = pictures(SIZES[0])
    arrays = SymbolArrays.of([one])
    assert np.shares_memory(arrays.flat, one)
    assert arrays.flat.tolist() == one.reshape(-1).tolist()
    assert arrays.starts == [0, one.size]
    for given_symbols in ([one.transpose(0, 2, 1)], [one, one]):
        arrays = SymbolArrays.of(given_symbols)
        assert not np.shares_memory(arrays.flat, one)
        assert all(np.array_equal(own, given) for own, given in zip(arrays.pictures, given_symbols, strict=True))


def test_symbol_arrays_are_a_copy_of_the_symbols_given():
    given_symbols = pictures(*SIZES)
    arrays = SymbolArrays.of(given_symbols)
    assert all(np.array_equal(one, other) for one, other in zip(arrays.pictures, given_symbols, strict=True))
    arrays.flat[:] = MISSING
    assert all((each >= 0).all() for each in given_symbols)


@given(st.integers(1, 2000), st.integers(1, 64))
def test_counts_are_evenly_spaced_and_end_with_all_channels(channels, most):
    counts = even_counts(channels, most)
    assert 1 <= len(counts) <= most
    assert counts[-1] == channels
    steps = np.diff([0, *counts])
    assert (steps[:-1] == steps[0]).all()
    assert 1 <= steps[-1] <= steps[0]


def test_up_to_32_counts_are_taken():
    assert even_counts(1) == [1]
    assert even_counts(32) == list(range(1, 33))
    assert even_counts(33) == [*range(2, 33, 2), 33]
    assert len(even_counts(480)) == 32


@given(st.integers(33, 5000))
def test_many_channels_are_counted_in_a_constant_ratio(channels):
    counts = geometric_counts(channels)
    assert 16 <= len(counts) <= 24
    assert counts == sorted(set(counts))
    assert (counts[0], counts[-1]) == (max(1, round(channels / 40)), channels)
    for one, next_one in itertools.pairwise(counts):
        assert next_one <= one * 40 ** (1 / 23) + 1.5  # of rounding


def test_up_to_32_channels_are_all_counted():
    assert geometric_counts(1) == [1]
    assert geometric_counts(32) == list(range(1, 33))


def test_indices_of_later_pictures_do_not_wrap_in_the_type_that_holds_those_of_one():
    class Narrow(NoPrior):
        def steps(self, symbols):
            yield Step(np.arange(symbols.size, dtype=np.uint16), np.zeros(symbols.size, np.int64))

    arrays = SymbolArrays.of([np.zeros((4, 100, 100), np.int16)] * 3)
    places, _ = in_order(Narrow(), arrays)
    assert np.array_equal(places, np.arange(120_000))
