import tracemalloc
import zlib
from dataclasses import replace
from io import BytesIO
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError
from omega_core.format.file import (
    CODERS,
    GROUPS,
    MAX_GROUPS,
    MAX_PICTURES,
    MODES,
    Arriving,
    Container,
    assemble,
    divide,
    group_size,
    parse,
    pictures_field,
    shorten,
    shorten_between,
)

# Written by hand from FORMAT.md. Files like these are on people's
# disks: a later version has to read them as this one does.
SMALL = bytes.fromhex(
    "cea9 11 14 01020304 1b1b"  # version 1, coder 1 (range); gray, small, 1 channel a group; model; 28×28
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
TILED = bytes.fromhex(
    "cea9 11 19 0a0b0c0d b817 8108"  # RGB, not small, fields follow; 3000×1025
    "01 02 8008"  # tiles of 1024 pixels
    "00"
    "00 03 aabbcc"  # one group of 3 bytes
    "830a982c"
)
OPAQUE = bytes.fromhex(
    "cea9 11 1e 0a0b0c0d 0001"  # LA, small, fields follow; 1×2
    "02 00"  # opacity, of which nothing needs to be said
    "00"
    "00 02 aabb"
    "ca32cb4d"
)
ALIKE = bytes.fromhex(
    "cea9 13 1c 0a0b0c0d 1b1b"  # gray, small, fields follow; 28×28; coder 3 (fixed)
    "03 01 40"  # 64 pictures of that size
    "00"
    "01 04 02 aabbccddeeff"  # two groups of 4 and 2 bytes
    "062a3e2b"
)
UNLIKE = bytes.fromhex(
    "cea9 11 1d 0a0b0c0d 1b1b"  # RGB, small, fields follow; 28×28
    "03 06 03 ac0207 0101"  # 3 pictures, the others 300×7 and 1×1
    "00"
    "00 00"  # a group of nothing
    "cf06e92f"
)
LATER = bytes.fromhex(
    "cea9 11 1c 0a0b0c0d 1b1b"  # gray, small, fields follow; 28×28
    "80 00"  # a field 128 without bytes
    "c8 02 beef"  # a field 200
    "ff 01 00"  # and a field 255
    "00"
    "01 01 02 aabbcc"  # two groups of 1 and 2 bytes
    "68db316b"
)
LATER_SHORTENED = bytes.fromhex(
    "cea9 11 1c 0a0b0c0d 1b1b"
    "80 00 c8 02 beef ff 01 00 00"
    "00 01 aa"  # the first of the groups
    "e52207a3"
)
ALL = bytes.fromhex(
    "cea9 11 2f 0a0b0c0d 0001"  # RGBA, small, fields follow, 2 channels a group; 1×2
    "01 02 8010"  # tiles of 2048 pixels
    "02 03 a1a2a3"  # opacity
    "03 01 02"  # 2 pictures
    f"84 8201 {'5a' * 130}"  # an ICC profile
    "a0 01 77"  # a field 160
    "00"
    "21 01 02 01 aabbcc"  # 2 groups of 2 bytes and 1 byte, the last lacks a channel
    "99bfc887"
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
FIELDS_PARTS = replace(
    SMALL_PARTS, fingerprint=bytes.fromhex("0a0b0c0d"), channels=1, sizes=b"", stream=b"\xaa\xbb\xcc"
)
TILED_PARTS = replace(FIELDS_PARTS, mode="RGB", height=3000, width=1025, fields={1: b"\x80\x08"})
OPAQUE_PARTS = replace(FIELDS_PARTS, mode="LA", height=1, width=2, stream=b"\xaa\xbb", fields={2: b""})
ALIKE_PARTS = replace(
    FIELDS_PARTS,
    coder="omega-entropy/fixed",
    channels=2,
    sizes=b"\x04",
    stream=bytes.fromhex("aabbccddeeff"),
    fields={3: b"\x40"},
)
UNLIKE_PARTS = replace(FIELDS_PARTS, mode="RGB", stream=b"", fields={3: bytes.fromhex("03ac02070101")})
LATER_PARTS = replace(FIELDS_PARTS, channels=2, sizes=b"\x01", fields={128: b"", 200: b"\xbe\xef", 255: b"\0"})
ALL_PARTS = replace(
    FIELDS_PARTS,
    mode="RGBA",
    height=1,
    width=2,
    channels=3,
    group=2,
    sizes=b"\x02",
    fields={1: b"\x80\x10", 2: b"\xa1\xa2\xa3", 3: b"\x02", 132: b"Z" * 130, 160: b"w"},
)
GOLDEN = pytest.mark.parametrize(
    ("data", "parts", "cuts"),
    [
        (SMALL, SMALL_PARTS, {1: 5, 2: 17, 3: 20}),
        (LARGE, LARGE_PARTS, {20: 2, 37: 3}),
        (ODD, ODD_PARTS, {19: 18, 38: 318}),
        (TILED, TILED_PARTS, {1: 3}),
        (OPAQUE, OPAQUE_PARTS, {1: 2}),
        (ALIKE, ALIKE_PARTS, {1: 4, 2: 6}),
        (UNLIKE, UNLIKE_PARTS, {1: 0}),
        (LATER, LATER_PARTS, {1: 1, 2: 3}),
        (ALL, ALL_PARTS, {2: 2, 3: 3}),
    ],
    ids=["small", "large", "odd", "tiled", "opaque", "alike", "unlike", "later", "all"],
)


def leb128(value):
    """A varint, written here once more."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + leb128(value >> 7)


SIDES = st.integers(1, 300) | st.integers(1, 1 << 14)


class Said(NamedTuple):
    """What the fields of a file say."""

    tile: int | None
    alpha: bytes | None
    others: list[tuple[int, int]]
    profile: bytes
    unknown: dict[int, bytes]

    def fields(self, first):
        """The bytes of the fields, of which the pictures depend on (height, width) of the first."""
        fields = dict(self.unknown)
        if self.profile:
            fields[132] = self.profile
        if self.others:
            others = b"".join(leb128(height) + leb128(width) for height, width in self.others)
            fields[3] = bytes([len(self.others) + 1]) + (others if {*self.others} != {first} else b"")
        if self.alpha is not None:
            fields[2] = self.alpha
        if self.tile is not None:
            fields[1] = leb128(self.tile)
        return fields


@st.composite
def described(draw, mode, first):
    """What the fields of a file of this mode, whose first picture has this size, may say."""
    several = st.lists(st.just(first), max_size=63) | st.lists(st.tuples(SIDES, SIDES) | st.just(first), max_size=63)
    unknown = st.sampled_from([number for number in range(128, 256) if number != 132])
    return Said(
        draw(st.none() | st.integers(1, 2048)),
        draw(st.binary(max_size=200)) if "A" in mode else None,
        draw(st.just([]) | several),
        draw(st.binary(max_size=200)),
        draw(st.dictionaries(unknown, st.binary(max_size=200), max_size=3)),
    )


@st.composite
def described_containers(draw, coders=(*CODERS[1:], "omega-fancy/ünusual"), longest_side=1 << 14):
    group, groups = draw(st.integers(1, 40)), draw(st.integers(1, MAX_GROUPS))
    cuts = sorted(draw(st.lists(st.integers(0, 400), min_size=groups, max_size=groups)))
    sizes, stream = divide(draw(st.randoms(use_true_random=False)).randbytes(cuts[-1]), cuts)
    mode = draw(st.sampled_from(MODES))
    height, width = draw(st.integers(1, longest_side)), draw(st.integers(1, longest_side))
    nothing = Said(None, None, [], b"", {})
    said = draw(
        described(mode, (height, width)) if "A" in mode else st.just(nothing) | described(mode, (height, width))
    )
    container = Container(
        fingerprint=draw(st.binary(min_size=4, max_size=4)),
        coder=draw(st.sampled_from(coders)),
        mode=mode,
        height=height,
        width=width,
        channels=group * groups - draw(st.integers(0, group - 1)),
        group=group,
        sizes=sizes,
        stream=stream,
        fields=said.fields((height, width)),
    )
    return container, said


def containers(**limits):
    return described_containers(**limits).map(lambda drawn: drawn[0])


@GOLDEN
def test_a_file_written_by_hand_is_read(data, parts, cuts):
    assert parse(data) == parts
    assert parts.cuts == cuts


@GOLDEN
def test_its_parts_are_written_as_by_hand(data, parts, cuts):
    assert assemble(parts) == data


@given(containers())
def test_what_was_packed_comes_back_the_same(container):
    assert parse(assemble(container)) == container
    assert parse(assemble(container), partial=True) == container
    assert assemble(parse(assemble(container))) == assemble(container)


@given(described_containers())
def test_what_the_fields_say_comes_back_the_same(drawn):
    container, said = drawn
    read = parse(assemble(container))
    assert (read.tile, read.alpha, read.profile) == (said.tile, said.alpha, said.profile)
    assert read.shapes == ((container.height, container.width), *said.others)
    assert read.pixels == sum(height * width for height, width in read.shapes)
    assert {number: read.fields[number] for number in said.unknown} == said.unknown


@pytest.mark.parametrize(
    ("parts", "tile", "alpha", "shapes", "profile", "pixels"),
    [
        (SMALL_PARTS, None, None, ((28, 28),), b"", 784),
        (TILED_PARTS, 1024, None, ((3000, 1025),), b"", 3_075_000),
        (OPAQUE_PARTS, None, b"", ((1, 2),), b"", 2),
        (ALIKE_PARTS, None, None, ((28, 28),) * 64, b"", 50_176),
        (UNLIKE_PARTS, None, None, ((28, 28), (300, 7), (1, 1)), b"", 2885),
        (LATER_PARTS, None, None, ((28, 28),), b"", 784),
        (ALL_PARTS, 2048, b"\xa1\xa2\xa3", ((1, 2), (1, 2)), b"Z" * 130, 4),
    ],
    ids=["small", "tiled", "opaque", "alike", "unlike", "later", "all"],
)
def test_fields_mean_what_is_written_of_them(parts, tile, alpha, shapes, profile, pixels):
    assert (parts.tile, parts.alpha, parts.shapes) == (tile, alpha, shapes)
    assert (parts.profile, parts.pixels) == (profile, pixels)


@pytest.mark.parametrize(
    ("shapes", "payload"),
    [
        ([(28, 28)], None),
        ([(28, 28)] * 2, "02"),
        ([(28, 28)] * 64, "40"),
        ([(28, 28), (300, 7), (1, 1)], "03ac02070101"),
        ([(28, 28), (28, 29)], "021c1d"),
        ([(28, 28), (28, 28), (29, 28)], "031c1c1d1c"),
    ],
)
def test_sizes_of_pictures_are_told_only_where_they_are_not_all_the_same(shapes, payload):
    assert pictures_field(shapes) == ({} if payload is None else {3: bytes.fromhex(payload)})


def test_fields_are_written_in_the_order_of_their_numbers():
    backwards = dict(sorted(ALL_PARTS.fields.items(), reverse=True))
    assert assemble(replace(ALL_PARTS, fields=backwards)) == ALL


def test_a_field_that_is_not_known_is_kept_by_who_shortens_the_file():
    assert assemble(shorten(parse(LATER), 1)) == LATER_SHORTENED
    assert parse(LATER).file(1) == LATER_SHORTENED
    assert parse(LATER_SHORTENED).fields == LATER_PARTS.fields


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
        data = assemble(replace(SMALL_PARTS, group=group, channels=3 * group))
        assert (data[3] >> 4, data[10]) == (number, 2)
        assert parse(data).group == group


def test_a_group_that_has_no_number_follows_as_one():
    data = assemble(replace(SMALL_PARTS, group=200, channels=600))
    assert (data[3], data[10:13]) == (0x04, b"\xc8\x01\x02")
    assert parse(data).group == 200


def overhead(container):
    return len(assemble(container)) - len(container.stream)


@given(
    containers(coders=CODERS[1:], longest_side=256),
    st.sampled_from(GROUPS[1:]),
)
def test_a_small_picture_costs_16_bytes_beside_one_a_cut(container, group):
    container = replace(container, mode="L", fields={}, group=group, channels=group * container.groups)
    assert overhead(container) <= 16 + len(container.cuts)


def small_files(channels, group, last):
    """Files of small gray pictures, with `last` bytes in their last group."""
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
def test_a_small_gray_picture_in_whole_groups_costs_16_bytes_beside_one_a_cut(channels, last):
    for container in small_files(channels, group_size(channels), last):
        assert channels % container.group == 0
        assert overhead(container) <= 16 + len(container.cuts)


@LAST
@pytest.mark.parametrize("channels", GROUPS[1:])
def test_a_small_gray_picture_in_one_group_costs_17_bytes(channels, last):
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
                    parse(data[:i] + bytes([value]) + data[i + 1 :])


@given(containers(), st.data())
def test_a_changed_byte_of_any_file_is_noticed(container, data):
    whole = bytearray(assemble(container))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FileFormatError):
        parse(bytes(whole))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_file_are_refused(noise):
    for data in (noise, SMALL[:2] + noise, SMALL[:4] + noise, SMALL[:10] + noise):
        with pytest.raises(FileFormatError):
            parse(data)


@GOLDEN
@pytest.mark.parametrize("more", [b"\0", b"\r\n", SMALL])
def test_bytes_after_the_end_are_damage(data, parts, cuts, more):
    with pytest.raises(DamagedFileError, match=f"{len(more)} bytes more"):
        parse(data + more)


@GOLDEN
def test_every_cut_off_file_says_how_many_channels_are_intact(data, parts, cuts):
    start = len(data) - len(parts.stream) - 4
    for length in range(2, len(data)):
        with pytest.raises(CutOffError) as caught:
            parse(data[:length])
        assert caught.value.intact == max((n for n, size in cuts.items() if length - start >= size), default=0)
    for length in range(2):
        with pytest.raises(FileFormatError, match=r"not an \.omega file"):
            parse(data[:length])


@given(containers(), st.data())
def test_what_is_intact_of_a_cut_off_file_is_a_file_shortened(container, data):
    whole = assemble(container)
    part = whole[: data.draw(st.integers(2, len(whole) - 1))]
    with pytest.raises(CutOffError) as caught:
        parse(part)
    intact = caught.value.intact
    if intact:
        assert parse(part, partial=True) == shorten(container, intact)
    else:
        with pytest.raises(CutOffError):
            parse(part, partial=True)


def test_a_cut_off_file_without_any_channel_says_so():
    with pytest.raises(CutOffError, match="No channel is intact"):
        parse(SMALL[:16], partial=True)
    with pytest.raises(CutOffError, match=r"7 bytes are missing\. Its first 2 of 3 channels are intact"):
        parse(SMALL[:-7])


def sealed(body):
    """Bytes with the right checksum behind them."""
    return body + zlib.crc32(body).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, 0x89, r"not an \.omega file"),
        (2, 0x21, "version 2, this Omega reads version 1. Update it"),
        (2, 0x1F, "coder number 15, unknown to this Omega. Update it"),
    ],
)
def test_a_file_of_a_later_version_is_told_from_damage(position, value, message):
    body = bytearray(SMALL[:-4])
    body[position] = value
    with pytest.raises(FileFormatError, match=message) as caught:
        parse(sealed(bytes(body)))
    assert not isinstance(caught.value, DamagedFileError)


def with_fields(fields, flags="1c"):
    """A gray picture of 28×28, unless the flags say otherwise, with fields written in hexadecimal."""
    return sealed(bytes.fromhex(f"cea9 11 {flags} 01020304 1b1b {fields} 00 02 aabb"))


@pytest.mark.parametrize("number", [4, 100, 127])
@pytest.mark.parametrize("before", ["", "01 01 10", "03 01 02"])
def test_a_field_that_must_not_be_ignored_asks_for_a_later_omega(number, before):
    for payload in ("00", "03 000000"):
        with pytest.raises(
            FileFormatError, match=f"has a field {number} that this Omega does not know. Update it"
        ) as it:
            parse(with_fields(f"{before} {number:02x} {payload} 00"))
        assert not isinstance(it.value, (DamagedFileError, CutOffError))


@pytest.mark.parametrize("number", [128, 131, 133, 255])
def test_a_field_from_128_on_may_be_ignored(number):
    read = parse(with_fields(f"{number:02x} 03 000000 00"))
    assert read == replace(parse(with_fields("", "14")), fields={number: bytes(3)})
    assert (read.tile, read.alpha, read.profile, read.shapes) == (None, None, b"", ((28, 28),))


def test_all_that_fields_may_say_is_taken():
    assert parse(with_fields("01 01 01 00")).tile == 1
    assert parse(with_fields("01 02 8010 00")).tile == 2048
    assert parse(with_fields("02 00 00", "1e")).alpha == b""
    assert parse(with_fields("02 02 abcd 00", "1f")).alpha == b"\xab\xcd"
    assert parse(with_fields("03 01 02 00")).shapes == ((28, 28),) * 2
    assert parse(with_fields("03 01 40 00")).shapes == ((28, 28),) * 64
    assert parse(with_fields("03 03 02 1c1d 00")).shapes == ((28, 28), (28, 29))
    assert parse(with_fields("84 02 abcd 00")).profile == b"\xab\xcd"


DAMAGED_FIELDS = {
    "none": "00",
    "out of order": "03 01 02 01 01 10 00",
    "out of order, not known": "ff 00 fe 00 00",
    "twice": "01 01 10 01 01 10 00",
    "twice, not known": "c8 00 c8 00 00",
    "a length with more bytes than needed": "c8 8200 abcd 00",
    "a length of 29 bits": "c8 8080808001",
    "a tile without bytes": "01 00 00",
    "a tile of no pixels": "01 01 00 00",
    "a tile with bytes behind it": "01 02 1000 00",
    "a tile with more bytes than needed": "01 02 9000 00",
    "a tile that breaks off": "01 01 90 00",
    "a tile of 29 bits": "01 05 8080808001 00",
    "opacity of a gray picture": "02 00 00",
    "a profile without bytes": "84 00 00",
    "opacity of a gray picture, with bytes": "02 03 010203 00",
    "pictures without bytes": "03 00 00",
    "0 pictures": "03 01 00 00",
    "1 picture": "03 01 01 00",
    "1 picture of another size": "03 03 01 0505 00",
    "65 pictures": "03 01 41 00",
    "255 pictures": "03 01 ff 00",
    "65 pictures with sizes": f"03 8101 41 {'0505' * 64} 00",
    "a picture without a size": "03 03 03 0505 00",
    "a picture without a width": "03 02 02 05 00",
    "more sizes than pictures": "03 05 02 0505 0505 00",
    "a picture without height": "03 03 02 0005 00",
    "a picture without width": "03 03 02 0500 00",
    "sizes that are all the same": "03 03 02 1c1c 00",
    "a size with more bytes than needed": "03 04 02 058500 00",
    "a size of 29 bits": "03 07 02 05 8080808001 00",
}


@pytest.mark.parametrize("fields", DAMAGED_FIELDS.values(), ids=DAMAGED_FIELDS)
def test_fields_that_are_not_as_they_have_to_be_are_damage_in_spite_of_their_checksum(fields):
    with pytest.raises(DamagedFileError):
        parse(with_fields(fields))


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        ("1d", "02 00 00"),  # RGB with opacity
        ("16", ""),  # LA without any field
        ("17", ""),  # RGBA without any field
        ("1e", "01 01 10 00"),  # LA with other fields than opacity
        ("1f", "84 01 aa 00"),  # RGBA with other fields than opacity
    ],
)
def test_opacity_is_in_the_modes_that_have_it_and_in_no_others(flags, fields):
    with pytest.raises(DamagedFileError, match="contradicts itself"):
        parse(with_fields(fields, flags))


def test_a_header_has_one_picture_or_up_to_64():
    assert MAX_PICTURES == 64
    for many in range(256):
        data = with_fields(f"03 01 {many:02x} 00")
        if 2 <= many <= 64:
            assert len(parse(data).shapes) == many
        else:
            with pytest.raises(DamagedFileError, match="contradicts itself"):
                parse(data)


@pytest.mark.parametrize(
    "header",
    [
        "cea9 11 10 01020304 001b 00 00",  # no height
        "cea9 11 10 01020304 1b00 00 00",  # no width
        "cea9 11 04 01020304 1b1b 00 00 00",  # no channels in a group
        "cea9 11 14 01020304 1b1b 20 01 00",  # the last group lacks all its channels
        "cea9 11 10 01020304 8080808001 1b 00 00",  # a height of more than 28 bits
        "cea9 11 10 01020304 80808001 9b00 00 00",  # a width with more bytes than needed
        "cea9 10 14 01020304 1b1b 8000 00 00",  # a length of the coder's name with more bytes than needed
        "cea9 11 04 01020304 1b1b a100 00 00",  # channels in a group with more bytes than needed
        "cea9 11 34 01020304 1b1b 20 8100 00",  # channels that are lacking with more bytes than needed
        "cea9 10 14 01020304 1b1b 00 00 00",  # no name of the coder
        "cea9 10 14 01020304 1b1b 01 61 00 00",  # a name that is not qualified
        "cea9 10 14 01020304 1b1b 05 612f622f63 00 00",  # a name with two distributions
    ],
)
def test_a_header_that_contradicts_itself_is_damage_in_spite_of_its_checksum(header):
    with pytest.raises(DamagedFileError, match=r"contradicts itself|a number in its header is no number"):
        parse(sealed(bytes.fromhex(header)))


@pytest.mark.parametrize(
    ("header", "as_it_has_to_be"),
    [
        ("cea9 11 10 01020304 1c1c 00 00", "cea9 11 14 01020304 1b1b 00 00"),  # small, but not said to be
        ("cea9 11 10 01020304 8002 01 00 00", "cea9 11 14 01020304 ff00 00 00"),
        ("cea9 11 04 01020304 1b1b 02 00 00", "cea9 11 24 01020304 1b1b 00 00"),  # a group that has a number
        ("cea9 11 24 01020304 1b1b 20 00 00", "cea9 11 24 01020304 1b1b 00 00"),  # none of the channels is lacking
        ("cea9 11 14 01020304 1b1b 40 0000", "cea9 11 14 01020304 1b1b 00 00"),  # a size with more bytes than needed
        ("cea9 11 14 01020304 1b1b c0 00000000", "cea9 11 14 01020304 1b1b 00 00"),
        (  # a coder that has a number
            f"cea9 10 14 01020304 1b1b 11 {b'omega-entropy/raw'.hex()} 00 00",
            "cea9 14 14 01020304 1b1b 00 00",
        ),
        ("cea9 10 14 01020304 1b1b 03 612fff 00 00", "cea9 10 14 01020304 1b1b 03 612f7a 00 00"),  # no UTF-8
    ],
)
def test_there_is_one_way_only_to_write_a_header(header, as_it_has_to_be):
    parse(sealed(bytes.fromhex(as_it_has_to_be)))
    with pytest.raises(DamagedFileError, match="contradicts itself"):
        parse(sealed(bytes.fromhex(header)))


@given(st.sampled_from(["small", "tiled", "alike", "unlike", "later", "all"]), st.data())
def test_whatever_header_is_taken_would_have_been_written(name, data):
    whole = {"small": SMALL, "tiled": TILED, "alike": ALIKE, "unlike": UNLIKE, "later": LATER, "all": ALL}[name]
    body = bytearray(whole[:-4])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(2, len(body) - 1))] = data.draw(st.integers(0, 255))
    forged = sealed(bytes(body))
    try:
        container = parse(forged)
    except FileFormatError:
        return
    assert assemble(container) == forged


def test_a_field_that_claims_a_quarter_gigabyte_takes_no_memory_for_it():
    data = bytes.fromhex("cea9 11 1c 01020304 1b1b c8 ffffff7f") + bytes(100)
    tracemalloc.start()
    try:
        with pytest.raises(CutOffError, match="in its header"):
            parse(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


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
            container = parse(data, partial=True)
        else:
            with pytest.raises(CutOffError) as caught:
                parse(data, partial=partial)
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
    assert parse(assemble(container)) == container


@given(containers(), st.data())
def test_shortening_twice_is_shortening_once(container, data):
    more = data.draw(st.sampled_from(list(container.cuts)))
    fewer = data.draw(st.sampled_from([n for n in container.cuts if n <= more]))
    once = shorten(container, fewer)
    assert shorten(shorten(container, more), fewer) == once
    assert shorten(once, fewer) == once
    assert parse(assemble(once)) == once


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
    assert parse(assemble(short)) == short
    assert shorten(short, 20) == shorten(container, 20)


def test_an_end_just_after_a_rounded_cut_does_not_move_that_cut():
    sizes, stream = divide(bytes(40), [17, 30, 40])
    container = replace(LARGE_PARTS, channels=60, sizes=sizes, stream=stream)
    short = shorten_between(container, 21, 17)
    assert short.cuts == {20: 18, 21: 18}
    assert parse(assemble(short)) == short


class Counting:
    """A stream that gives at most so many bytes at a time, and counts those that it gave."""

    def __init__(self, data, most=1 << 20):
        self.data, self.most, self.given = BytesIO(data), most, 0

    def read(self, count):
        found = self.data.read(min(count, self.most))
        self.given += len(found)
        return found


def start_of_stream(data, parts):
    return len(data) - 4 - len(parts.stream)


@GOLDEN
@pytest.mark.parametrize("most", [1, 3, 1 << 20])
def test_of_a_file_that_arrives_no_more_is_read_than_a_cut_needs(data, parts, cuts, most):
    stream = Counting(data + b"of something else", most)
    arriving = Arriving(stream)
    start = start_of_stream(data, parts)
    assert (stream.given, arriving.length) == (start, len(parts.stream))
    assert arriving.head == replace(parts, stream=b"")
    for channels, size in cuts.items():
        assert arriving.up_to(channels) == shorten(parts, channels)
        assert stream.given == (start + size if channels < parts.channels else len(data))


@given(containers(), st.integers(1, 700))
def test_a_file_that_arrives_in_pieces_is_shortened_at_every_cut(container, most):
    arriving = Arriving(Counting(assemble(container), most))
    assert [arriving.up_to(n) for n in container.cuts] == [shorten(container, n) for n in container.cuts]


def test_cuts_of_a_file_that_arrives_may_be_left_out_and_asked_for_again():
    arriving = Arriving(Counting(SMALL, 1))
    for channels in (2, 1, 3, 2):
        assert arriving.up_to(channels) == shorten(SMALL_PARTS, channels)


def cuts_that_arrive(data):
    """The cuts that can be had of what arrives of a file, and the error that ends them."""
    arrived = []
    try:
        arriving = Arriving(Counting(data, 5))
        for channels in arriving.head.cuts_of(arriving.length):
            arriving.up_to(channels)
            arrived.append(channels)
    except FileFormatError as problem:
        return arrived, problem
    return arrived, None


@GOLDEN
def test_a_file_that_breaks_off_while_it_arrives_still_had_its_first_cuts(data, parts, cuts):
    start = start_of_stream(data, parts)
    for length in range(2, len(data)):
        arrived, problem = cuts_that_arrive(data[:length])
        intact = [n for n, size in cuts.items() if length >= start + size]
        assert arrived == [n for n in intact if n < parts.channels]
        assert type(problem) is CutOffError
        assert problem.intact == max(intact, default=0)
        with pytest.raises(CutOffError) as caught:
            parse(data[:length])
        assert str(problem) == str(caught.value)
    assert cuts_that_arrive(data) == (list(cuts), None)


@GOLDEN
def test_damage_to_a_file_that_arrives_is_noticed_at_its_last_cut(data, parts, cuts):
    *earlier, _ = cuts
    for position in range(start_of_stream(data, parts), len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1
        arrived, problem = cuts_that_arrive(bytes(damaged))
        assert arrived == earlier
        assert type(problem) is DamagedFileError
        assert "checksum does not match" in str(problem)


def test_what_arrives_and_is_no_file_is_refused_at_once():
    for data in (b"", b"\xce", b"hello"):
        with pytest.raises(FileFormatError, match=r"not an \.omega file"):
            Arriving(Counting(data))


def test_a_file_that_arrives_and_claims_a_stream_of_gigabytes_takes_no_memory_for_it():
    for sizes in ("05 0c ffffffff", "05 ff ffffffff"):
        data = SMALL[:10] + bytes.fromhex(f"c2 {sizes}") + bytes(range(20))
        tracemalloc.start()
        try:
            arriving = Arriving(Counting(data))
            assert arriving.up_to(1) == shorten(SMALL_PARTS, 1)
            with pytest.raises(CutOffError):
                arriving.up_to(3)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()
