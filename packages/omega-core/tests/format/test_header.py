import tracemalloc
from dataclasses import replace

import pytest
from file_samples import (
    ALIKE,
    ALL,
    LATER,
    LATER_FILE,
    LATER_TRUNCATED,
    OPAQUE,
    SMALL,
    SMALL_FILE,
    TILED,
    UNLIKE,
    any_files,
    changed,
    sealed,
)
from hypothesis import given
from hypothesis import strategies as st

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError
from omega_core.format.file import OmegaFile
from omega_core.format.header import CODERS, Header
from omega_core.format.limits import MAX_PICTURES


@pytest.mark.parametrize(
    ("data", "tile", "alpha", "sizes", "profile", "pixels"),
    [
        (SMALL, None, None, ((28, 28),), b"", 784),
        (TILED, 1024, None, ((3000, 1025),), b"", 3_075_000),
        (OPAQUE, None, b"", ((1, 2),), b"", 2),
        (ALIKE, None, None, ((28, 28),) * 64, b"", 50_176),
        (UNLIKE, None, None, ((28, 28), (300, 7), (1, 1)), b"", 2885),
        (LATER, None, None, ((28, 28),), b"", 784),
        (ALL, 2048, b"\xa1\xa2\xa3", ((1, 2), (1, 2)), b"Z" * 130, 4),
    ],
    ids=["small", "tiled", "opaque", "alike", "unlike", "later", "all"],
)
def test_fields_mean_what_is_written_of_them(data, tile, alpha, sizes, profile, pixels):
    header = Header.parse(data)
    assert (header.tile, header.alpha, header.sizes) == (tile, alpha, sizes)
    assert (header.profile, header.pixels) == (profile, pixels)


@pytest.mark.parametrize(
    ("sizes", "field"),
    [
        (((28, 28),), ""),
        (((28, 28),) * 2, "03 01 02 00"),
        (((28, 28),) * 64, "03 01 40 00"),
        (((28, 28), (300, 7), (1, 1)), "03 06 03ac02070101 00"),
        (((28, 28), (28, 29)), "03 03 021c1d 00"),
        (((28, 28), (28, 28), (29, 28)), "03 05 031c1c1d1c 00"),
    ],
)
def test_sizes_of_pictures_are_told_only_where_they_are_not_all_the_same(sizes, field):
    start = len(SMALL_FILE.header.to_bytes()) - 1  # the length of the stream follows
    assert replace(SMALL_FILE.header, sizes=sizes).to_bytes()[start:-1] == bytes.fromhex(field)


def test_fields_are_written_in_the_order_of_their_numbers():
    backwards = dict(sorted(LATER_FILE.header.unknown.items(), reverse=True))
    assert changed(LATER_FILE, unknown=backwards).to_bytes() == LATER


def test_a_field_that_is_not_known_is_kept_by_who_truncates_the_file():
    assert OmegaFile.parse(LATER).truncated(1).to_bytes() == LATER_TRUNCATED
    assert Header.parse(LATER_TRUNCATED).unknown == LATER_FILE.header.unknown


def test_numbers_of_coders_never_change():
    assert CODERS[:5] == (
        "",
        "omega-entropy/range",
        "omega-entropy/torchac",
        "omega-entropy/fixed",
        "omega-entropy/raw",
    )
    assert len(CODERS) <= 16


@pytest.mark.parametrize(
    ("length", "written"),
    [(0, "00"), (255, "ff"), (256, "0001"), (65536, "000001"), (1 << 24, "00000001"), ((1 << 32) - 1, "ffffffff")],
)
def test_a_length_has_as_many_bytes_as_it_needs(length, written):
    header = replace(SMALL_FILE.header, length=length)
    data = header.to_bytes()
    assert data[10:] == bytes.fromhex(written)
    assert data[3] >> 5 == len(data[10:]) - 1
    assert Header.parse(data) == header


def test_one_bit_tells_whether_all_symbols_are_in_the_stream():
    complete, truncated = (replace(SMALL_FILE.header, complete=each).to_bytes() for each in (True, False))
    assert complete[3] ^ truncated[3] == 1 << 4
    assert complete[:3] + complete[4:] == truncated[:3] + truncated[4:]


@given(any_files(coders=CODERS[1:], longest_side=256))
def test_the_header_of_a_small_picture_has_11_bytes_and_up_to_3_more_for_long_streams(file):
    header = replace(file.header, mode="L", sizes=file.header.sizes[:1], tile=None, alpha=None, profile=b"", unknown={})
    for length, size in ((0, 11), (255, 11), (256, 12), (1 << 16, 13), (1 << 24, 14), ((1 << 32) - 1, 14)):
        assert len(replace(header, length=length).to_bytes()) == size


@pytest.mark.parametrize(
    ("position", "value", "message"),
    [
        (0, 0x89, r"not an \.omega file"),
        (2, 0x31, "version 3; this Omega reads 2. Update Omega"),
        (2, 0x11, "version 1; this Omega reads 2. Encode the picture again"),
        (2, 0x2F, "coder number 15, which is unknown. Update Omega"),
    ],
)
def test_a_file_of_another_version_is_told_from_damage(position, value, message):
    body = bytearray(SMALL[:-4])
    body[position] = value
    with pytest.raises(FileFormatError, match=message) as caught:
        OmegaFile.parse(sealed(bytes(body)))
    assert not isinstance(caught.value, DamagedFileError)


def with_fields(fields, flags="1c"):
    """A gray picture of 28×28, unless the flags say otherwise, with fields written in hexadecimal."""
    return sealed(bytes.fromhex(f"cea9 21 {flags} 01020304 1b1b {fields} 02 aabb"))


@pytest.mark.parametrize("number", [4, 100, 127])
@pytest.mark.parametrize("before", ["", "01 01 10", "03 01 02"])
def test_a_field_that_must_not_be_ignored_asks_for_a_later_omega(number, before):
    for payload in ("00", "03 000000"):
        with pytest.raises(FileFormatError, match=f"has a field {number}, which is unknown. Update Omega") as it:
            OmegaFile.parse(with_fields(f"{before} {number:02x} {payload} 00"))
        assert not isinstance(it.value, (DamagedFileError, CutOffError))


@pytest.mark.parametrize("number", [128, 131, 133, 255])
def test_a_field_from_128_on_may_be_ignored(number):
    header = Header.parse(with_fields(f"{number:02x} 03 000000 00"))
    assert header == replace(Header.parse(with_fields("", "14")), unknown={number: bytes(3)})
    assert (header.tile, header.alpha, header.profile, header.sizes) == (None, None, b"", ((28, 28),))


def test_all_that_fields_may_say_is_taken():
    assert Header.parse(with_fields("01 01 01 00")).tile == 1
    assert Header.parse(with_fields("01 02 8010 00")).tile == 2048
    assert Header.parse(with_fields("02 00 00", "1e")).alpha == b""
    assert Header.parse(with_fields("02 02 abcd 00", "1f")).alpha == b"\xab\xcd"
    assert Header.parse(with_fields("03 01 02 00")).sizes == ((28, 28),) * 2
    assert Header.parse(with_fields("03 01 40 00")).sizes == ((28, 28),) * 64
    assert Header.parse(with_fields("03 03 02 1c1d 00")).sizes == ((28, 28), (28, 29))
    assert Header.parse(with_fields("84 02 abcd 00")).profile == b"\xab\xcd"


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
    "alpha of a gray picture": "02 00 00",
    "a profile without bytes": "84 00 00",
    "alpha of a gray picture, with bytes": "02 03 010203 00",
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
        OmegaFile.parse(with_fields(fields))


@pytest.mark.parametrize(
    ("flags", "fields"),
    [
        ("1d", "02 00 00"),  # RGB with alpha
        ("16", ""),  # LA without any field
        ("17", ""),  # RGBA without any field
        ("1e", "01 01 10 00"),  # LA with other fields than alpha
        ("1f", "84 01 aa 00"),  # RGBA with other fields than alpha
    ],
)
def test_alpha_is_in_the_modes_that_have_it_and_in_no_others(flags, fields):
    with pytest.raises(DamagedFileError, match="contradicts itself"):
        OmegaFile.parse(with_fields(fields, flags))


def test_a_header_has_one_picture_or_up_to_64():
    assert MAX_PICTURES == 64
    for many in range(256):
        data = with_fields(f"03 01 {many:02x} 00")
        if 2 <= many <= 64:
            assert len(Header.parse(data).sizes) == many
        else:
            with pytest.raises(DamagedFileError, match="contradicts itself"):
                OmegaFile.parse(data)


@pytest.mark.parametrize(
    "header",
    [
        "cea9 21 10 01020304 001b 00",  # no height
        "cea9 21 10 01020304 1b00 00",  # no width
        "cea9 21 10 01020304 8080808001 1b 00",  # a height of more than 28 bits
        "cea9 21 10 01020304 80808001 9b00 00",  # a width with more bytes than needed
        "cea9 20 14 01020304 1b1b 8000 00",  # a length of the coder's name with more bytes than needed
        "cea9 20 14 01020304 1b1b 00 00",  # no name of the coder
        "cea9 20 14 01020304 1b1b 01 61 00",  # a name that is not qualified
        "cea9 20 14 01020304 1b1b 05 612f622f63 00",  # a name with two distributions
    ],
)
def test_a_header_that_contradicts_itself_is_damage_in_spite_of_its_checksum(header):
    with pytest.raises(DamagedFileError, match=r"contradicts itself|not a canonical varint"):
        OmegaFile.parse(sealed(bytes.fromhex(header)))


@pytest.mark.parametrize(
    ("header", "as_it_has_to_be"),
    [
        ("cea9 21 10 01020304 1c1c 00", "cea9 21 14 01020304 1b1b 00"),  # small, but not said to be
        ("cea9 21 10 01020304 8002 01 00", "cea9 21 14 01020304 ff00 00"),
        ("cea9 21 34 01020304 1b1b 0000", "cea9 21 14 01020304 1b1b 00"),  # a length with more bytes than needed
        ("cea9 21 74 01020304 1b1b 00000000", "cea9 21 14 01020304 1b1b 00"),
        ("cea9 21 94 01020304 1b1b 00", "cea9 21 14 01020304 1b1b 00"),  # a flag that means nothing
        (  # a coder that has a number
            f"cea9 20 14 01020304 1b1b 11 {b'omega-entropy/raw'.hex()} 00",
            "cea9 24 14 01020304 1b1b 00",
        ),
        ("cea9 20 14 01020304 1b1b 03 612fff 00", "cea9 20 14 01020304 1b1b 03 612f7a 00"),  # no UTF-8
    ],
)
def test_there_is_one_way_only_to_write_a_header(header, as_it_has_to_be):
    OmegaFile.parse(sealed(bytes.fromhex(as_it_has_to_be)))
    with pytest.raises(DamagedFileError, match="contradicts itself"):
        OmegaFile.parse(sealed(bytes.fromhex(header)))


@given(st.sampled_from(["small", "tiled", "alike", "unlike", "later", "all"]), st.data())
def test_whatever_header_is_taken_would_have_been_written(name, data):
    whole = {"small": SMALL, "tiled": TILED, "alike": ALIKE, "unlike": UNLIKE, "later": LATER, "all": ALL}[name]
    body = bytearray(whole[:-4])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(2, len(body) - 1))] = data.draw(st.integers(0, 255))
    forged = sealed(bytes(body))
    try:
        file = OmegaFile.parse(forged)
    except FileFormatError:
        return
    assert file.to_bytes() == forged


def test_a_field_that_claims_a_quarter_gigabyte_takes_no_memory_for_it():
    data = bytes.fromhex("cea9 21 1c 01020304 1b1b c8 ffffff7f") + bytes(100)
    tracemalloc.start()
    try:
        with pytest.raises(CutOffError, match="in its header"):
            OmegaFile.parse(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "values",
    [
        {"fingerprint": b"abc"},
        {"coder": "range"},
        {"coder": "a/b/c"},
        {"mode": "P"},
        {"mode": "LA"},
        {"alpha": b""},
        {"coder": "a/" + "b" * 254},
        {"sizes": ()},
        {"sizes": ((1, 1),) * 65},
        {"sizes": ((0, 1),)},
        {"sizes": ((1, 1), (1, 0))},
        {"tile": 0},
        {"length": -1},
        {"length": 1 << 32},
        {"unknown": {127: b""}},
        {"unknown": {132: b""}},
        {"unknown": {256: b""}},
    ],
    ids=str,
)
def test_values_that_no_header_has_are_refused(values):
    with pytest.raises(ValueError):  # noqa: PT011  # the messages are for whoever writes an encoder
        replace(SMALL_FILE.header, **values)


@pytest.mark.parametrize("values", [{"sizes": ((1 << 28, 1),)}, {"tile": 1 << 28}], ids=str)
def test_numbers_that_are_too_large_for_a_header_are_refused_where_it_is_written(values):
    with pytest.raises(ValueError, match="268435456 is not a number"):
        replace(SMALL_FILE.header, **values).to_bytes()


@given(any_files())
def test_a_header_is_read_from_the_bytes_before_the_stream(file):
    written = file.header.to_bytes()
    assert file.to_bytes().startswith(written)
    assert Header.parse(written + b"of something else") == file.header
    for length in range(2, len(written)):
        with pytest.raises(CutOffError):
            Header.parse(written[:length])


def test_the_name_of_a_coder_has_255_bytes_at_the_most():
    header = replace(SMALL_FILE.header, coder="a/" + "b" * 253)
    assert Header.parse(header.to_bytes()) == header
