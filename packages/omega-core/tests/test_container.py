import tracemalloc
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega_core.container import (
    CODERS,
    GROUPS,
    MAX_GROUPS,
    Container,
    divide,
    group_size,
    pack,
    shorten,
    shorten_between,
    unpack,
)
from omega_core.errors import CutOffError, DamagedFileError, FileFormatError

# Written by hand from the description at the head of omega_core.container. Files like these are on people's
# disks: a later version has to read them as this one does.
SMALL = bytes.fromhex(
    "cea9 11 14 01020304 1b1b"  # version 1, coder 1 (range); grey, small, 1 channel a group; model; 28×28
    "02 05 0c 03"  # 3 groups, the last with one byte of size; they have 5, 12 and 3 bytes of stream
    "000102030405060708090a0b0c0d0e0f10111213"
    "618fb44b"
)
LARGE = bytes.fromhex(
    "cea9 10 c1 deadbeef 8008 ac02"  # no numbered coder; RGB, not small, GROUPS[12] = 20 channels a group; 1024×300
    "07 6f742f62657374"  # coder "ot/best"
    "21 03 02 01 aabbcc"  # 2 groups, of which the last lacks 3 channels; they have 2 bytes and 1 byte
    "781581bf"
)
ODD = bytes.fromhex(
    "cea9 10 05 cafef00d ff00"  # no numbered coder; RGB, small, a group that is not in GROUPS; 256×1
    "04 6f742f78 13"  # coder "ot/x"; 19 channels a group
    "41 11 2c01"  # 2 groups, the last with two bytes of size; they have (8+1)<<1 = 18 and 300 bytes
    f"{'5a' * 318}"
    "56c726c1"
)
SMALL_PARTS = Container(
    fingerprint=bytes([1, 2, 3, 4]),
    coder="omega-entropy/range",
    mode="L",
    height=28,
    width=28,
    channels=3,
    group=1,
    sizes=b"\x05\x0c",
    stream=bytes(range(20)),
)
LARGE_PARTS = Container(
    fingerprint=bytes.fromhex("deadbeef"),
    coder="ot/best",
    mode="RGB",
    height=1024,
    width=300,
    channels=37,
    group=20,
    sizes=b"\x02",
    stream=b"\xaa\xbb\xcc",
)
ODD_PARTS = Container(
    fingerprint=bytes.fromhex("cafef00d"),
    coder="ot/x",
    mode="RGB",
    height=256,
    width=1,
    channels=38,
    group=19,
    sizes=b"\x11",
    stream=b"Z" * 318,
)
GOLDEN = pytest.mark.parametrize(
    ("data", "parts", "cuts"),
    [
        (SMALL, SMALL_PARTS, {1: 5, 2: 17, 3: 20}),
        (LARGE, LARGE_PARTS, {20: 2, 37: 3}),
        (ODD, ODD_PARTS, {19: 18, 38: 318}),
    ],
    ids=["small", "large", "odd"],
)


@st.composite
def containers(draw, coders=(*CODERS[1:], "omega-fancy/ünusual"), longest_side=1 << 14):
    group, groups = draw(st.integers(1, 40)), draw(st.integers(1, MAX_GROUPS))
    cuts = sorted(draw(st.lists(st.integers(0, 400), min_size=groups, max_size=groups)))
    sizes, stream = divide(draw(st.randoms(use_true_random=False)).randbytes(cuts[-1]), cuts)
    return Container(
        fingerprint=draw(st.binary(min_size=4, max_size=4)),
        coder=draw(st.sampled_from(coders)),
        mode=draw(st.sampled_from(["L", "RGB"])),
        height=draw(st.integers(1, longest_side)),
        width=draw(st.integers(1, longest_side)),
        channels=group * groups - draw(st.integers(0, group - 1)),
        group=group,
        sizes=sizes,
        stream=stream,
    )


@GOLDEN
def test_a_file_written_by_hand_is_read(data, parts, cuts):
    assert unpack(data) == parts
    assert parts.cuts == cuts


@GOLDEN
def test_its_parts_are_written_as_by_hand(data, parts, cuts):
    assert pack(parts) == data


@given(containers())
def test_what_was_packed_comes_back_the_same(container):
    assert unpack(pack(container)) == container
    assert unpack(pack(container), partial=True) == container


def test_numbers_of_coders_never_change():
    assert CODERS[:5] == (
        "",
        "omega-entropy/range",
        "omega-entropy/torchac",
        "omega-entropy/fixed",
        "omega-entropy/raw",
    )
    assert len(CODERS) <= 16


def test_numbers_of_channels_per_group_never_change():
    assert GROUPS == (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 24, 30, 32)
    for number, group in enumerate(GROUPS[1:], 1):
        data = pack(replace(SMALL_PARTS, group=group, channels=3 * group))
        assert (data[3] >> 4, data[10]) == (number, 2)
        assert unpack(data).group == group


def test_a_group_that_has_no_number_follows_as_one():
    data = pack(replace(SMALL_PARTS, group=200, channels=600))
    assert (data[3], data[10:13]) == (0x04, b"\xc8\x01\x02")
    assert unpack(data).group == 200


def overhead(container):
    return len(pack(container)) - len(container.stream)


@given(
    containers(coders=CODERS[1:], longest_side=256),
    st.sampled_from(GROUPS[1:]),
)
def test_a_small_picture_costs_16_bytes_beside_one_a_cut(container, group):
    container = replace(container, mode="L", group=group, channels=group * container.groups)
    assert overhead(container) <= 16 + len(container.cuts)


def small_files(channels, group, last):
    """Files of small grey pictures, with `last` bytes in their last group."""
    groups = -(-channels // group)
    cuts = [40 * (i + 1) for i in range(groups - 1)]
    sizes, stream = divide(bytes(40 * (groups - 1) + last), [*cuts, 40 * (groups - 1) + last])
    for coder in CODERS[1:]:
        for height, width in ((1, 1), (28, 28), (256, 1), (256, 256)):
            yield replace(
                SMALL_PARTS,
                coder=coder,
                height=height,
                width=width,
                channels=channels,
                group=group,
                sizes=sizes,
                stream=stream,
            )


LAST = pytest.mark.parametrize("last", [0, 1, 255, 256, 65535])


@LAST
@pytest.mark.parametrize("channels", [*range(1, 33), 64, 128, 480, 960])
def test_a_small_grey_picture_in_whole_groups_costs_16_bytes_beside_one_a_cut(channels, last):
    for container in small_files(channels, group_size(channels), last):
        assert channels % container.group == 0
        assert overhead(container) <= 16 + len(container.cuts)


@LAST
@pytest.mark.parametrize("channels", GROUPS[1:])
def test_a_small_grey_picture_in_one_group_costs_17_bytes(channels, last):
    for container in small_files(channels, channels, last):
        assert container.sizes == b""
        assert overhead(container) <= 16 + 1


@LAST
def test_channels_that_the_last_group_lacks_cost_a_byte_more_where_that_group_has_256_bytes(last):
    assert (group_size(500), 500 % 16) == (16, 4)
    for container in small_files(500, 16, last):
        assert len(container.cuts) == 32
        assert overhead(container) <= 16 + 32 + (last >= 256)


@GOLDEN
def test_every_changed_byte_is_noticed(data, parts, cuts):
    for i in range(len(data)):
        for value in range(256):
            if value != data[i]:
                with pytest.raises(FileFormatError):
                    unpack(data[:i] + bytes([value]) + data[i + 1 :])


@given(containers(), st.data())
def test_a_changed_byte_of_any_file_is_noticed(container, data):
    whole = bytearray(pack(container))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FileFormatError):
        unpack(bytes(whole))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_file_are_refused(noise):
    for data in (noise, SMALL[:2] + noise, SMALL[:4] + noise, SMALL[:10] + noise):
        with pytest.raises(FileFormatError):
            unpack(data)


@GOLDEN
@pytest.mark.parametrize("more", [b"\0", b"\r\n", SMALL])
def test_bytes_after_the_end_are_damage(data, parts, cuts, more):
    with pytest.raises(DamagedFileError, match=f"{len(more)} bytes more"):
        unpack(data + more)


@GOLDEN
def test_every_cut_off_file_says_how_many_channels_are_intact(data, parts, cuts):
    start = len(data) - len(parts.stream) - 4
    for length in range(2, len(data)):
        with pytest.raises(CutOffError) as caught:
            unpack(data[:length])
        assert caught.value.intact == max((n for n, size in cuts.items() if length - start >= size), default=0)
    for length in range(2):
        with pytest.raises(FileFormatError, match=r"not an \.omega file"):
            unpack(data[:length])


@given(containers(), st.data())
def test_what_is_intact_of_a_cut_off_file_is_a_file_shortened(container, data):
    whole = pack(container)
    part = whole[: data.draw(st.integers(2, len(whole) - 1))]
    with pytest.raises(CutOffError) as caught:
        unpack(part)
    intact = caught.value.intact
    if intact:
        assert unpack(part, partial=True) == shorten(container, intact)
    else:
        with pytest.raises(CutOffError):
            unpack(part, partial=True)


def test_a_cut_off_file_without_any_channel_says_so():
    with pytest.raises(CutOffError, match="No channel is intact"):
        unpack(SMALL[:16], partial=True)
    with pytest.raises(CutOffError, match=r"7 bytes are missing\. Its first 2 of 3 channels are intact"):
        unpack(SMALL[:-7])


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, 0x89, r"not an \.omega file"),
        (2, 0x21, "version 2, this Omega reads version 1"),
        (2, 0x1F, "coder number 15"),
        (3, 0x1C, "extensions"),
        (3, 0x16, "extensions"),
    ],
)
def test_a_file_of_a_later_version_is_told_from_damage(position, value, message):
    body = bytearray(SMALL[:-4])
    body[position] = value
    with pytest.raises(FileFormatError, match=message) as caught:
        unpack(bytes(body) + zlib.crc32(body).to_bytes(4, "little"))
    assert not isinstance(caught.value, DamagedFileError)


@pytest.mark.parametrize(
    "header",
    [
        "cea9 11 10 01020304 001b 00 00",  # no height
        "cea9 11 10 01020304 1b00 00 00",  # no width
        "cea9 11 04 01020304 1b1b 00 00 00",  # no channels in a group
        "cea9 11 14 01020304 1b1b 20 01 00",  # the last group lacks all its channels
        "cea9 11 10 01020304 8080808001 1b 00 00",  # a height of more than 28 bits
    ],
)
def test_a_header_that_contradicts_itself_is_damage_in_spite_of_its_checksum(header):
    body = bytes.fromhex(header)
    with pytest.raises(DamagedFileError, match=r"contradicts itself|number in its header is too large"):
        unpack(body + zlib.crc32(body).to_bytes(4, "little"))


@pytest.mark.parametrize(
    ("head", "intact"),
    [
        ("c0 ffffffff", 0),  # one group of 4 GiB
        ("c2 05 0c ffffffff", 2),  # two groups in 17 bytes, then one of 4 GiB
        ("c2 05 ff ffffffff", 1),  # the largest group that a byte can say
        ("df" + "ff" * 31 + "ffffffff", 0),
    ],
)
@pytest.mark.parametrize("partial", [False, True])
def test_a_file_that_claims_a_stream_of_gigabytes_takes_no_memory_for_it(head, intact, partial):
    data = SMALL[:10] + bytes.fromhex(head) + bytes(range(20))
    tracemalloc.start()
    try:
        if partial and intact:
            container = unpack(data, partial=True)
        else:
            with pytest.raises(CutOffError) as caught:
                unpack(data, partial=partial)
            assert caught.value.intact == intact
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    if partial and intact:
        assert container == shorten(SMALL_PARTS, intact)


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
    assert group_size(channels) == group


def test_a_smaller_group_with_a_number_would_make_more_than_32_cuts():
    for channels in range(1, 1500):
        group = group_size(channels)
        assert -(-channels // group) <= MAX_GROUPS
        assert group in GROUPS or group > GROUPS[-1]
        assert all(-(-channels // smaller) > MAX_GROUPS for smaller in GROUPS[1:] if smaller < group)


def reached(cuts, length=1 << 17):
    sizes, stream = divide(bytes(length), [*cuts, length])
    container = replace(SMALL_PARTS, channels=len(cuts) + 1, sizes=sizes, stream=stream)
    return list(container.cuts.values())[:-1]


@pytest.mark.parametrize(
    ("code", "size"),
    [(0, 0), (7, 7), (8, 8), (15, 15), (16, 16), (17, 18), (23, 30), (24, 32), (25, 36), (63, 960), (255, 15 << 30)],
)
def test_the_byte_of_a_size_is_three_bits_of_mantissa_and_an_exponent(code, size):
    assert replace(SMALL_PARTS, sizes=bytes([code, 0])).cuts == {1: size, 2: size, 3: 20}


def test_a_cut_up_to_16_bytes_is_exact():
    assert [reached([size])[0] for size in range(17)] == list(range(17))


def test_a_cut_is_never_short_and_at_most_an_eighth_too_long():
    for size in [*range(5000), *range(5000, 100_000, 37), 65535, 65536, 65537]:
        assert size <= reached([size])[0] <= size * 9 / 8


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=31).map(sorted))
def test_no_cut_of_several_is_short_or_more_than_an_eighth_too_long(cuts):
    assert all(cut <= size <= cut * 9 / 8 for cut, size in zip(cuts, reached(cuts), strict=True))
    assert reached(cuts) == sorted(reached(cuts))


def test_a_size_that_was_rounded_leaves_less_to_the_next_group():
    assert reached([17, 33], 33) == [18, 33]
    assert divide(b"Z" * 33, [17, 33, 33]) == (b"\x11\x0f", b"Z" * 33)


def test_where_a_size_reaches_beyond_the_stream_zeros_follow_it():
    assert divide(b"Z" * 17, [17, 17]) == (b"\x11", b"Z" * 17 + b"\0")
    assert divide(b"Z" * 101, [33, 101, 101]) == (b"\x19\x21", b"Z" * 101 + bytes(7))
    assert divide(b"", [0, 0]) == (b"\0", b"")


def test_a_stream_of_one_group_stays_as_it_is():
    assert divide(b"Z" * 17, [17]) == (b"", b"Z" * 17)


@given(st.lists(st.integers(0, 60_000), min_size=1, max_size=32).map(sorted))
def test_a_divided_stream_begins_as_it_was_and_ends_in_few_zeros(cuts):
    whole = b"Z" * cuts[-1]
    sizes, stream = divide(whole, cuts)
    assert len(sizes) == len(cuts) - 1
    assert stream[: len(whole)] == whole
    assert not any(stream[len(whole) :])
    assert len(stream) <= len(whole) * 9 / 8
    container = replace(SMALL_PARTS, channels=len(cuts), sizes=sizes, stream=stream)
    assert all(cut <= size <= len(stream) for cut, size in zip(cuts, container.cuts.values(), strict=True))
    assert unpack(pack(container)) == container


@given(containers(), st.data())
def test_shortening_twice_is_shortening_once(container, data):
    more = data.draw(st.sampled_from(list(container.cuts)))
    fewer = data.draw(st.sampled_from([n for n in container.cuts if n <= more]))
    once = shorten(container, fewer)
    assert shorten(shorten(container, more), fewer) == once
    assert shorten(once, fewer) == once
    assert unpack(pack(once)) == once


@given(containers())
def test_a_shortened_file_has_the_cuts_before_and_a_stream_that_is_a_prefix(container):
    for channels, size in container.cuts.items():
        short = shorten(container, channels)
        assert short.cuts == {n: end for n, end in container.cuts.items() if n <= channels}
        assert short.stream == container.stream[:size]


def test_shortening_to_all_channels_changes_nothing():
    assert shorten(LARGE_PARTS, 37) == LARGE_PARTS


@pytest.mark.parametrize("channels", [-1, 0, 19, 36, 38])
def test_a_file_cannot_be_shortened_where_there_is_no_cut(channels):
    with pytest.raises(ValueError, match=f"no cut after {channels} channels, only after .20, 37."):
        shorten(LARGE_PARTS, channels)


def test_an_end_between_two_cuts_keeps_the_cuts_before_it():
    sizes, stream = divide(bytes(30), [10, 20, 30])
    container = replace(LARGE_PARTS, channels=60, sizes=sizes, stream=stream)
    short = shorten_between(container, 25, 14)
    assert short.cuts == {20: 10, 25: 14}
    assert unpack(pack(short)) == short
    assert shorten(short, 20) == shorten(container, 20)


def test_an_end_just_after_a_rounded_cut_does_not_move_that_cut():
    sizes, stream = divide(bytes(40), [17, 30, 40])
    container = replace(LARGE_PARTS, channels=60, sizes=sizes, stream=stream)
    short = shorten_between(container, 21, 17)
    assert short.cuts == {20: 18, 21: 18}
    assert unpack(pack(short)) == short
