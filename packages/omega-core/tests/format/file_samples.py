"""`.omega` files written by hand, and any that there can be, for the tests of this folder."""

import zlib
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from omega_core.format.cuts import Groups, divide, group_ends
from omega_core.format.file import OmegaFile
from omega_core.format.header import CODERS, MODES, Header
from omega_core.format.limits import MAX_GROUPS

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
    "02 00"  # alpha, of which nothing needs to be said
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
    "02 03 a1a2a3"  # alpha
    "03 01 02"  # 2 pictures
    f"84 8201 {'5a' * 130}"  # an ICC profile
    "a0 01 77"  # a field 160
    "00"
    "21 01 02 01 aabbcc"  # 2 groups of 2 bytes and 1 byte, the last lacks a channel
    "99bfc887"
)


def omega_file(*, stream, channels, channels_per_group=1, codes=b"", **header):
    """A file from all that its header says and its stream."""
    groups = Groups(channels=channels, channels_per_group=channels_per_group, codes=codes, length=len(stream))
    return OmegaFile(Header(groups=groups, **header), stream)


def changed(file, *, stream=None, channels=None, channels_per_group=None, codes=None, **header):
    """A file like another but for what is given."""
    groups = file.header.groups
    stream = file.stream if stream is None else stream
    groups = Groups(
        channels=groups.channels if channels is None else channels,
        channels_per_group=groups.channels_per_group if channels_per_group is None else channels_per_group,
        codes=groups.codes if codes is None else codes,
        length=len(stream),
    )
    return OmegaFile(replace(file.header, groups=groups, **header), stream)


SMALL_FILE = omega_file(
    fingerprint=bytes([1, 2, 3, 4]),
    coder="omega-entropy/range",
    mode="L",
    sizes=((28, 28),),
    channels=3,
    codes=b"\x05\x0c",
    stream=bytes(range(20)),
)
LARGE_FILE = omega_file(
    fingerprint=bytes.fromhex("deadbeef"),
    coder="ot/best",
    mode="RGB",
    sizes=((1024, 300),),
    channels=37,
    channels_per_group=20,
    codes=b"\x02",
    stream=b"\xaa\xbb\xcc",
)
ODD_FILE = omega_file(
    fingerprint=bytes.fromhex("cafef00d"),
    coder="ot/x",
    mode="RGB",
    sizes=((256, 1),),
    channels=38,
    channels_per_group=19,
    codes=b"\x11",
    stream=b"Z" * 318,
)
ONE_GROUP = changed(SMALL_FILE, fingerprint=bytes.fromhex("0a0b0c0d"), channels=1, codes=b"", stream=b"\xaa\xbb\xcc")
TILED_FILE = changed(ONE_GROUP, mode="RGB", sizes=((3000, 1025),), tile=1024)
OPAQUE_FILE = changed(ONE_GROUP, mode="LA", sizes=((1, 2),), stream=b"\xaa\xbb", alpha=b"")
ALIKE_FILE = changed(
    ONE_GROUP,
    coder="omega-entropy/fixed",
    channels=2,
    codes=b"\x04",
    stream=bytes.fromhex("aabbccddeeff"),
    sizes=((28, 28),) * 64,
)
UNLIKE_FILE = changed(ONE_GROUP, mode="RGB", stream=b"", sizes=((28, 28), (300, 7), (1, 1)))
LATER_FILE = changed(ONE_GROUP, channels=2, codes=b"\x01", unknown={128: b"", 200: b"\xbe\xef", 255: b"\0"})
ALL_FILE = changed(
    ONE_GROUP,
    mode="RGBA",
    sizes=((1, 2), (1, 2)),
    channels=3,
    channels_per_group=2,
    codes=b"\x02",
    tile=2048,
    alpha=b"\xa1\xa2\xa3",
    profile=b"Z" * 130,
    unknown={160: b"w"},
)
HANDWRITTEN = pytest.mark.parametrize(
    ("data", "file", "cuts"),
    [
        (SMALL, SMALL_FILE, {1: 5, 2: 17, 3: 20}),
        (LARGE, LARGE_FILE, {20: 2, 37: 3}),
        (ODD, ODD_FILE, {19: 18, 38: 318}),
        (TILED, TILED_FILE, {1: 3}),
        (OPAQUE, OPAQUE_FILE, {1: 2}),
        (ALIKE, ALIKE_FILE, {1: 4, 2: 6}),
        (UNLIKE, UNLIKE_FILE, {1: 0}),
        (LATER, LATER_FILE, {1: 1, 2: 3}),
        (ALL, ALL_FILE, {2: 2, 3: 3}),
    ],
    ids=["small", "large", "odd", "tiled", "opaque", "alike", "unlike", "later", "all"],
)


def sealed(body):
    """Bytes with the right checksum behind them."""
    return body + zlib.crc32(body).to_bytes(4, "little")


SIDES = st.integers(1, 300) | st.integers(1, 1 << 14)


@st.composite
def any_files(draw, coders=(*CODERS[1:], "omega-fancy/ünusual"), longest_side=1 << 14):
    """Any file that there can be, with short streams."""
    per_group, count = draw(st.integers(1, 40)), draw(st.integers(1, MAX_GROUPS))
    channels = per_group * count - draw(st.integers(0, per_group - 1))
    lengths = sorted(draw(st.lists(st.integers(0, 400), min_size=count, max_size=count)))
    noise = draw(st.randoms(use_true_random=False)).randbytes(lengths[-1])
    groups, stream = divide(noise, dict(zip(group_ends(channels, per_group), lengths, strict=True)), per_group)
    mode = draw(st.sampled_from(MODES))
    first = draw(st.integers(1, longest_side)), draw(st.integers(1, longest_side))
    header = Header(
        fingerprint=draw(st.binary(min_size=4, max_size=4)),
        coder=draw(st.sampled_from(coders)),
        mode=mode,
        sizes=(first,),
        groups=groups,
        alpha=draw(st.binary(max_size=200)) if "A" in mode else None,
    )
    if draw(st.booleans()):
        others = st.lists(st.just(first), max_size=63) | st.lists(st.tuples(SIDES, SIDES) | st.just(first), max_size=63)
        unknown = st.sampled_from([number for number in range(128, 256) if number != 132])
        header = replace(
            header,
            sizes=(first, *draw(st.just([]) | others)),
            tile=draw(st.none() | st.integers(1, 2048)),
            profile=draw(st.binary(max_size=200)),
            unknown=draw(st.dictionaries(unknown, st.binary(max_size=200), max_size=3)),
        )
    return OmegaFile(header, stream)
