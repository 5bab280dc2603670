from bisect import bisect_left
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega_core.format.cuts import (
    CHANNELS_PER_GROUP,
    Groups,
    channels_per_group,
    coded_size,
    divide,
    group_ends,
    size_code,
)
from omega_core.format.limits import MAX_GROUPS

SIZES = [coded_size(code) for code in range(256)]


def test_codes_of_sizes_rise_from_nothing_to_15_gib():
    assert (SIZES[0], SIZES[255]) == (0, 15 << 30)
    assert all(size < larger for size, larger in pairwise(SIZES))


@given(st.integers(0, 15 << 30) | st.integers(0, 1 << 10))
def test_the_code_of_a_size_is_the_first_whose_size_is_not_less(size):
    assert size_code(size) == bisect_left(SIZES, size)


def test_a_size_that_has_a_code_keeps_it():
    assert [size_code(size) for size in SIZES] == list(range(256))


@given(st.integers(1, 15 << 30))
def test_a_coded_size_is_at_most_an_eighth_too_much(size):
    assert size <= coded_size(size_code(size)) <= size * 9 / 8


@pytest.mark.parametrize(
    ("channels", "group"),
    [
        (1, 1),
        (32, 1),
        (33, 2),
        (64, 2),
        (192, 6),
        (193, 8),
        (224, 8),
        (320, 10),
        (321, 12),
        (480, 15),
        (500, 16),
        (960, 30),
        (1000, 32),
        (1024, 32),
        (1025, 33),
        (2000, 63),
    ],
)
def test_groups_are_as_small_as_their_numbers_and_32_cuts_allow(channels, group):
    assert channels_per_group(channels) == group


def test_a_smaller_group_with_a_number_would_make_more_than_32_cuts():
    for channels in range(1, 1500):
        group = channels_per_group(channels)
        assert -(-channels // group) <= MAX_GROUPS
        assert group in CHANNELS_PER_GROUP or group > CHANNELS_PER_GROUP[-1]
        assert all(-(-channels // smaller) > MAX_GROUPS for smaller in CHANNELS_PER_GROUP[1:] if smaller < group)


def divided(lengths):
    """The groups of one channel each that end after so many bytes, and the stream, of bytes that are all Z."""
    return divide(b"Z" * lengths[-1], dict(enumerate(lengths, 1)), 1)


def reached(cuts, length=1 << 17):
    """Where groups that are to end at these cuts do so."""
    groups, _ = divided([*cuts, length])
    return list(groups.cuts.values())[:-1]


@pytest.mark.parametrize(
    ("code", "size"),
    [(0, 0), (7, 7), (8, 8), (15, 15), (16, 16), (17, 18), (23, 30), (24, 32), (25, 36), (63, 960), (255, 15 << 30)],
)
def test_the_byte_of_a_size_is_three_bits_of_mantissa_and_an_exponent(code, size):
    groups = Groups(channels=3, channels_per_group=1, codes=bytes([code, 0]), length=size + 3)
    assert groups.cuts == {1: size, 2: size, 3: size + 3}


def test_a_cut_up_to_16_bytes_is_exact():
    assert [reached([size])[0] for size in range(17)] == list(range(17))


def test_a_cut_is_never_short_and_at_most_an_eighth_too_long():
    for size in [*range(5000), *range(5000, 100_000, 37), 65535, 65536, 65537]:
        assert size <= reached([size])[0] <= size * 9 / 8


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=31).map(sorted))
def test_no_cut_of_several_is_short_or_more_than_an_eighth_too_long(cuts):
    assert all(cut <= size <= cut * 9 / 8 for cut, size in zip(cuts, reached(cuts), strict=True))
    assert reached(cuts) == sorted(reached(cuts))


@pytest.mark.parametrize(
    ("lengths", "codes", "stream"),
    [
        ([17, 33, 33], b"\x11\x0f", b"Z" * 33),
        ([17, 17], b"\x11", b"Z" * 17 + b"\0"),
        ([33, 101, 101], b"\x19\x21", b"Z" * 101 + bytes(7)),
        ([0, 0], b"\0", b""),
        ([17], b"", b"Z" * 17),
    ],
)
def test_a_size_is_rounded_up_into_the_next_group_or_into_zeros(lengths, codes, stream):
    groups, found = divided(lengths)
    assert (groups.codes, groups.length, found) == (codes, len(stream), stream)


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=32).map(sorted))
def test_a_divided_stream_begins_as_it_was_and_ends_in_few_zeros(lengths):
    groups, stream = divided(lengths)
    last = lengths[-1]
    assert len(groups.codes) == len(lengths) - 1
    assert stream[:last] == b"Z" * last
    assert not any(stream[last:])
    assert groups.length == len(stream) <= last * 9 / 8
    assert all(cut <= size <= len(stream) for cut, size in zip(lengths, groups.cuts.values(), strict=True))


@given(st.lists(st.integers(0, 60_000), min_size=2, max_size=32).map(sorted), st.data())
def test_a_stream_that_ends_earlier_has_the_same_cuts_before(lengths, data):
    count = data.draw(st.integers(1, len(lengths) - 1))
    between = data.draw(st.integers(lengths[count - 1], lengths[count]))
    whole, stream = divide(b"Z" * lengths[-1], {3 * n: length for n, length in enumerate(lengths, 1)}, 3)
    ends = dict(zip(group_ends(3 * count + 2, 3), [*lengths[:count], between], strict=True))
    short, found = divide(b"Z" * lengths[-1], ends, 3)
    assert short.truncated(3 * count) == whole.truncated(3 * count)
    assert short.cuts[3 * count + 2] == short.length >= between
    assert stream.startswith(found)


def test_an_end_just_after_a_rounded_cut_does_not_move_that_cut():
    groups, stream = divide(b"Z" * 40, {20: 17, 21: 17}, 20)
    assert groups.cuts == {20: 18, 21: 18}
    assert stream == b"Z" * 18


@pytest.mark.parametrize("ends", [{2: 1, 3: 2}, {1: 1, 2: 2, 4: 3}, {3: 1, 2: 2}, {4: 1}])
def test_ends_that_are_not_those_of_groups_are_refused(ends):
    with pytest.raises(ValueError, match="groups"):
        divide(b"Z" * 9, ends, 1 if 3 in ends else 2)


@pytest.mark.parametrize(
    "values",
    [
        {"channels": 0, "codes": b""},
        {"channels_per_group": 0},
        {"codes": b"\x05\x05"},
        {"channels": 5},
        {"codes": b""},
        {"channels": 33, "channels_per_group": 1, "codes": bytes(32)},
        {"length": 4},
        {"length": 5 + (1 << 32)},
    ],
    ids=str,
)
def test_numbers_that_do_not_belong_together_make_no_groups(values):
    sound = {"channels": 3, "channels_per_group": 2, "codes": b"\x05", "length": 9}
    assert Groups(**sound).cuts == {2: 5, 3: 9}
    with pytest.raises(ValueError, match=r"group|channel"):
        Groups(**sound | values)


def test_groups_are_cut_where_they_end_and_nowhere_else():
    groups = Groups(channels=5, channels_per_group=2, codes=b"\x05\x00", length=9)
    assert groups.truncated(2) == Groups(channels=2, channels_per_group=2, codes=b"", length=5)
    assert groups.truncated(4) == Groups(channels=4, channels_per_group=2, codes=b"\x05", length=5)
    assert groups.truncated(5) == groups
    for channels in (-2, 0, 1, 3, 6):
        with pytest.raises(ValueError, match=f"no cut after {channels} channels"):
            groups.truncated(channels)


def test_groups_are_intact_whose_bytes_are_all_there():
    groups = Groups(channels=5, channels_per_group=2, codes=b"\x05\x00", length=9)
    assert [groups.intact(length) for length in range(11)] == [0] * 5 + [4] * 4 + [5] * 2
