"""`.omega` files written by hand, and any that there can be, for the tests of this folder."""

import zlib
from dataclasses import replace

import pytest
from hypothesis import strategies as st

from omega_core.format.file import OmegaFile
from omega_core.format.header import CODERS, MODES, Header

# Written by hand from FORMAT.md. Files like these are on people's
# disks: a later version has to read them as this one does.
SMALL = bytes.fromhex(
    "cea9 21 14 01020304 1b1b"  # version 2, coder 1 (range); gray, small, complete; model; 28×28
    "14"  # 20 bytes of stream
    "000102030405060708090a0b0c0d0e0f10111213"
    "c66fb641"
)
LARGE = bytes.fromhex(
    "cea9 20 11 deadbeef 8008 ac02"  # no numbered coder; RGB, not small, complete; 1024×300
    "07 6f742f62657374"  # coder "ot/best"
    "03 aabbcc"  # 3 bytes of stream
    "20bcc698"
)
PART = bytes.fromhex(
    "cea9 20 25 cafef00d ff00"  # no numbered coder; RGB, small, not complete, a length of two bytes; 256×1
    "04 6f742f78"  # coder "ot/x"
    "3e01"  # 318 bytes of stream
    f"{'5a' * 318}"
    "b4c20210"
)
TILED = bytes.fromhex(
    "cea9 21 19 0a0b0c0d b817 8108"  # RGB, not small, fields follow, complete; 3000×1025
    "01 02 8008"  # tiles of 1024 pixels
    "00"
    "03 aabbcc"
    "c43b9c22"
)
OPAQUE = bytes.fromhex(
    "cea9 21 1e 0a0b0c0d 0001"  # LA, small, fields follow, complete; 1×2
    "02 00"  # alpha, of which nothing needs to be said
    "00"
    "02 aabb"
    "346405d2"
)
ALIKE = bytes.fromhex(
    "cea9 23 1c 0a0b0c0d 1b1b"  # gray, small, fields follow, complete; 28×28; coder 3 (fixed)
    "03 01 40"  # 64 pictures of that size
    "00"
    "06 aabbccddeeff"
    "78badb9e"
)
UNLIKE = bytes.fromhex(
    "cea9 21 1d 0a0b0c0d 1b1b"  # RGB, small, fields follow, complete; 28×28
    "03 06 03 ac0207 0101"  # 3 pictures, the others 300×7 and 1×1
    "00"
    "00"  # no bytes of stream
    "32dcf5fa"
)
LATER = bytes.fromhex(
    "cea9 21 1c 0a0b0c0d 1b1b"  # gray, small, fields follow, complete; 28×28
    "80 00"  # a field 128 without bytes
    "c8 02 beef"  # a field 200
    "ff 01 00"  # and a field 255
    "00"
    "03 aabbcc"
    "3e963a25"
)
LATER_TRUNCATED = bytes.fromhex(
    "cea9 21 0c 0a0b0c0d 1b1b"  # not complete
    "80 00 c8 02 beef ff 01 00 00"
    "01 aa"  # the first byte of the stream
    "eb6a2f05"
)
ALL = bytes.fromhex(
    "cea9 21 0f 0a0b0c0d 0001"  # RGBA, small, fields follow, not complete; 1×2
    "01 02 8010"  # tiles of 2048 pixels
    "02 03 a1a2a3"  # alpha
    "03 01 02"  # 2 pictures
    f"84 8201 {'5a' * 130}"  # an ICC profile
    "a0 01 77"  # a field 160
    "00"
    "03 aabbcc"
    "2ade0bdc"
)


def omega_file(*, stream, **header):
    """A file from all that its header says and its stream."""
    return OmegaFile(Header(length=len(stream), **header), stream)


def changed(file, *, stream=None, **header):
    """A file like another except for what is given."""
    stream = file.stream if stream is None else stream
    return OmegaFile(replace(file.header, length=len(stream), **header), stream)


SMALL_FILE = omega_file(
    fingerprint=bytes([1, 2, 3, 4]),
    coder="omega-entropy/range",
    mode="L",
    sizes=((28, 28),),
    stream=bytes(range(20)),
)
LARGE_FILE = omega_file(
    fingerprint=bytes.fromhex("deadbeef"),
    coder="ot/best",
    mode="RGB",
    sizes=((1024, 300),),
    stream=b"\xaa\xbb\xcc",
)
PART_FILE = omega_file(
    fingerprint=bytes.fromhex("cafef00d"),
    coder="ot/x",
    mode="RGB",
    sizes=((256, 1),),
    complete=False,
    stream=b"Z" * 318,
)
THREE_BYTES = changed(SMALL_FILE, fingerprint=bytes.fromhex("0a0b0c0d"), stream=b"\xaa\xbb\xcc")
TILED_FILE = changed(THREE_BYTES, mode="RGB", sizes=((3000, 1025),), tile=1024)
OPAQUE_FILE = changed(THREE_BYTES, mode="LA", sizes=((1, 2),), stream=b"\xaa\xbb", alpha=b"")
ALIKE_FILE = changed(
    THREE_BYTES, coder="omega-entropy/fixed", stream=bytes.fromhex("aabbccddeeff"), sizes=((28, 28),) * 64
)
UNLIKE_FILE = changed(THREE_BYTES, mode="RGB", stream=b"", sizes=((28, 28), (300, 7), (1, 1)))
LATER_FILE = changed(THREE_BYTES, unknown={128: b"", 200: b"\xbe\xef", 255: b"\0"})
ALL_FILE = changed(
    THREE_BYTES,
    mode="RGBA",
    sizes=((1, 2), (1, 2)),
    complete=False,
    tile=2048,
    alpha=b"\xa1\xa2\xa3",
    profile=b"Z" * 130,
    unknown={160: b"w"},
)
HANDWRITTEN = pytest.mark.parametrize(
    ("data", "file"),
    [
        (SMALL, SMALL_FILE),
        (LARGE, LARGE_FILE),
        (PART, PART_FILE),
        (TILED, TILED_FILE),
        (OPAQUE, OPAQUE_FILE),
        (ALIKE, ALIKE_FILE),
        (UNLIKE, UNLIKE_FILE),
        (LATER, LATER_FILE),
        (ALL, ALL_FILE),
    ],
    ids=["small", "large", "part", "tiled", "opaque", "alike", "unlike", "later", "all"],
)


def sealed(body):
    """Bytes with the right checksum behind them."""
    return body + zlib.crc32(body).to_bytes(4, "little")


SIDES = st.integers(1, 300) | st.integers(1, 1 << 14)
LENGTHS = st.integers(0, 400) | st.sampled_from([0, 1, 255, 256, 257, 65535, 65536])


@st.composite
def any_files(draw, coders=(*CODERS[1:], "omega-fancy/ünusual"), longest_side=1 << 14):
    """Any file that there can be, with short streams."""
    stream = draw(st.randoms(use_true_random=False)).randbytes(draw(LENGTHS))
    mode = draw(st.sampled_from(MODES))
    first = draw(st.integers(1, longest_side)), draw(st.integers(1, longest_side))
    header = Header(
        fingerprint=draw(st.binary(min_size=4, max_size=4)),
        coder=draw(st.sampled_from(coders)),
        mode=mode,
        sizes=(first,),
        length=len(stream),
        complete=draw(st.booleans()),
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
