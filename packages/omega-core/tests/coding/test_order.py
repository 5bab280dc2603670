"""Symbols in the order of coding, with a prior that has several stages."""

import numpy as np
import pytest

from omega_core.coding.order import in_order, steps
from omega_core.coding.tables import FrozenPrior, FrozenTables, Tables

C = 3
CUMULATIVE = FrozenTables.from_probabilities(np.random.default_rng(0).dirichlet(np.ones(6), (40, 1))).cumulative
SIZES = [(2, 3), (1, 1), (3, 1), (4, 4)]


class ByColumn(FrozenPrior):
    """Every third column is a stage. The table of a position depends on the sum of all that was decoded."""

    def stages(self, size):
        columns = np.arange(size[0] * size[1]) % size[1] % 3
        return [np.flatnonzero(columns == stage) for stage in range(3)]

    def tables(self, channels, size, decoded, stage=0):
        assert decoded.shape == (channels.start + (stage > 0), *size)
        places = self.stages(size)[stage]
        rows = (decoded.sum() + channels.start + places + stage) % len(CUMULATIVE)
        return Tables(CUMULATIVE, rows[None], len(places), 6)

    def arrays(self):
        return {}


class Greedy(ByColumn):
    def tables(self, channels, size, decoded, stage=0):
        tables = super().tables(channels, size, decoded, stage)
        return Tables(CUMULATIVE, np.concatenate([tables.rows] * 2), tables.positions, 6)


def pictures(*sizes):
    chance = np.random.default_rng(len(sizes))
    return [chance.integers(0, 6, (C, *size)) for size in sizes]


def by_hand(symbols):
    """(symbol, row) of one picture or several, as the definition has it."""
    decoded = [np.zeros_like(each) for each in symbols]
    for c in range(C):
        for stage in range(3):
            before = [each[: c + (stage > 0)].sum() for each in decoded]
            for each, new, total in zip(symbols, decoded, before, strict=True):
                for y, x in np.ndindex(each.shape[1:]):
                    if x % 3 == stage:
                        new[c, y, x] = each[c, y, x]
                        yield each[c, y, x], (total + c + y * each.shape[2] + x + stage) % len(CUMULATIVE)


@pytest.mark.parametrize("sizes", [SIZES[:1], SIZES[1:2], SIZES[2:3], SIZES])
def test_stages_follow_each_other_in_every_channel(sizes):
    symbols = pictures(*sizes)
    ordered, tables = in_order(ByColumn(), symbols)
    wanted = list(by_hand(symbols))
    assert ordered.tolist() == [symbol for symbol, _ in wanted]
    assert np.array_equal(tables.cumulative[tables.flat_rows], CUMULATIVE[[row for _, row in wanted]])
    assert tables.channels == C
    assert tables.positions == sum(height * width for height, width in sizes)


@pytest.mark.parametrize("sizes", [SIZES[:1], SIZES[1:2], SIZES])
def test_steps_are_the_same_for_who_decodes(sizes):
    symbols = pictures(*sizes)
    ordered, tables = in_order(ByColumn(), symbols)
    decoded, done = [np.zeros_like(each) for each in symbols], 0
    for step in steps(ByColumn(), decoded):
        assert np.array_equal(step.tables.flat_rows, tables.flat_rows[done : done + step.tables.size])
        step.put_into(decoded, ordered[done : done + step.tables.size])
        done += step.tables.size
    assert done == tables.size
    assert all(np.array_equal(one, other) for one, other in zip(decoded, symbols, strict=True))


@pytest.mark.parametrize("cut", range(C + 1))
def test_steps_may_be_taken_in_two_parts(cut):
    symbols = pictures(*SIZES)
    ordered, tables = in_order(ByColumn(), symbols)
    decoded, done = [np.zeros_like(each) for each in symbols], 0
    for which in (range(cut), range(cut, C)):
        for step in steps(ByColumn(), decoded, which):
            assert step.channels.start in which
            assert np.array_equal(step.tables.flat_rows, tables.flat_rows[done : done + step.tables.size])
            step.put_into(decoded, ordered[done : done + step.tables.size])
            done += step.tables.size
    assert done == tables.size


def test_all_channels_are_one_step_where_nothing_depends_on_them():
    prior = FrozenTables(CUMULATIVE, np.arange(C)[:, None])
    symbols = pictures((2, 3), (1, 1))
    [step] = steps(prior, symbols)
    assert step.channels == range(C)
    ordered, tables = in_order(prior, symbols)
    wanted = np.concatenate([each.reshape(C, -1) for each in symbols], axis=1)
    assert np.array_equal(ordered, wanted.reshape(-1))
    assert np.array_equal(tables.flat_rows, np.repeat(np.arange(C), 7))


def test_a_prior_with_stages_gives_one_channel_at_a_time():
    with pytest.raises(ValueError, match="tables for 2 channels where 3 are left"):
        in_order(Greedy(), pictures((2, 3)))
