import struct
import tracemalloc
import zlib
from dataclasses import replace
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError, RateError
from omega_core.format.binary import varint
from omega_core.format.file import OmegaFile
from omega_core.format.header import Header
from omega_core.format.packs import Block, Pack, is_pack, parse, read_coded, read_index
from omega_core.format.rate_control import length_within, truncate

# Written by hand from FORMAT.md. Files like these are on people's disks: a later version has to read them as
# this one does.
ONE = bytes.fromhex(
    "cea9 21 14 01020304 1b1b 08"  # an .omega file of a gray picture; 8 bytes of stream
    "0001020304050607"
    "f742c1eb"
)
TWO = bytes.fromhex(
    "cea9 21 1c 01020304 1b1b 03 01 02 00 03"  # of two pictures; 3 bytes of stream
    "f0f1f2"
    "ff8b1370"
)
PACK = bytes.fromhex(
    "cf89 01"  # magic and version
    "23"  # the index has 35 bytes
    "02"  # it has 2 blocks
    "00 17"  # of 1 picture in 23 bytes,
    "01 16"  # and of 2 pictures in 22 bytes
    "7801 01 1300 ecff"  # zlib; one block of 19 bytes that are stored as they are:
    "61 00  64 2f 62 2e 63 00  f0 9f 8e 9e 2f c3 bc 20 c3 9f 00"  # a, d/b.c, 🎞/ü ß
    "462507d3"
    "0c745def"  # checksum of all up to here
    f"{ONE.hex()} {TWO.hex()}"
)
NAMES = (("a",), ("d/b.c", "🎞/ü ß"))
INDEX_END = len(PACK) - len(ONE) - len(TWO)


def block(length=8, *, sizes=((28, 28),), seed=1, complete=True):
    """A file with a stream of so many bytes."""
    stream = bytes((seed + i) % 251 for i in range(length))
    header = Header(
        fingerprint=bytes([1, 2, 3, 4]),
        coder="omega-entropy/range",
        mode="L",
        sizes=tuple(sizes),
        length=length,
        complete=complete,
    )
    return OmegaFile(header, stream)


def leb128(value):
    """A varint, written here once more."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + leb128(value >> 7)


def sealed(index, blocks=b"", *, version=1):
    """The bytes of a pack with any index and blocks, and the right checksum."""
    head = b"\xcf\x89" + bytes([version]) + leb128(len(index)) + index
    return head + zlib.crc32(head).to_bytes(4, "little") + blocks


def forged(names, files, *, pictures=None, sizes=None, packed=None, blocks=None):
    """A pack with the right checksum whose index says what it is told to.

    names: bytes, of all pictures; files: .omega files; pictures, sizes: what the index says of each.
    """
    pictures = [1] * len(files) if pictures is None else pictures
    sizes = [len(file) for file in files] if sizes is None else sizes
    entries = b"".join(bytes([n - 1]) + leb128(size) for n, size in zip(pictures, sizes, strict=True))
    many = leb128(len(pictures) if blocks is None else blocks)
    packed = zlib.compress(b"".join(name + b"\0" for name in names)) if packed is None else packed
    return sealed(many + entries + packed, b"".join(files))


def taken_apart(data):
    """Pictures and bytes of each block, the names, and the blocks: a pack read here once more."""
    stream = BytesIO(data)

    def number():
        value = shift = 0
        while True:
            byte = stream.read(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    assert stream.read(3) == b"\xcf\x89\x01"
    end = number() + stream.tell()
    entries = [(stream.read(1)[0] + 1, number()) for _ in range(number())]
    names = zlib.decompress(stream.read(end - stream.tell()))
    assert stream.read(4) == struct.pack("<I", zlib.crc32(data[:end]))
    blocks = [stream.read(size) for _, size in entries]
    assert stream.read() == b""
    assert names.endswith(b"\0")
    return [n for n, _ in entries], names.decode()[:-1].split("\0"), blocks


class Recorded(BytesIO):
    """A file that remembers which of its bytes were read."""

    def __init__(self, data):
        super().__init__(data)
        self.seen = set()

    def read(self, count=-1):
        start = self.tell()
        found = super().read(count)
        self.seen |= set(range(start, start + len(found)))
        return found


def test_a_pack_written_by_hand_is_read():
    file = BytesIO(PACK)
    one, two = blocks = read_index(file)
    assert blocks == [
        Block(NAMES[0], INDEX_END, len(ONE)),
        Block(NAMES[1], INDEX_END + len(ONE), len(TWO)),
    ]
    assert (two.read(file), one.read(file)) == (TWO, ONE)
    pack = Pack.parse(PACK)
    assert pack == Pack(((OmegaFile.parse(ONE), NAMES[0]), (OmegaFile.parse(TWO), NAMES[1])))
    assert (pack.stream_bytes, pack.pixels) == (11, 3 * 784)


def test_a_pack_is_written_as_by_hand_but_for_how_its_names_are_compressed():
    blocks = ((OmegaFile.parse(ONE), NAMES[0]), (OmegaFile.parse(TWO), NAMES[1]))
    assert taken_apart(Pack(blocks).to_bytes()) == taken_apart(PACK) == ([1, 2], ["a", "d/b.c", "🎞/ü ß"], [ONE, TWO])


def test_a_pack_is_told_from_a_file_by_its_first_bytes():
    assert is_pack(PACK[:2])
    assert not any(map(is_pack, (ONE, b"\xcf", b"", b"\xce\xa9")))
    assert parse(PACK) == Pack.parse(PACK)
    assert parse(ONE) == OmegaFile.parse(ONE)
    for data in (ONE, b"", b"\xcf", b"hello"):
        with pytest.raises(FileFormatError, match=r"not a pack of \.omega files"):
            read_index(BytesIO(data))
    with pytest.raises(FileFormatError, match=r"a pack of \.omega files"):
        OmegaFile.parse(PACK)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_a_pack_of_another_version_says_so(version):
    with pytest.raises(FileFormatError, match=f"version {version}; this Omega reads version 1. Update Omega") as caught:
        read_index(BytesIO(sealed(PACK[4 : 4 + 35], ONE + TWO, version=version)))
    assert not isinstance(caught.value, (DamagedFileError, CutOffError))


ANY_PART = st.text(st.characters(exclude_characters="/\\:\0", exclude_categories=["Cs"]), min_size=1, max_size=4)
PARTS = st.sampled_from(["a", "b", "ü", "日本", "...", " "]) | ANY_PART.filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def packs(draw):
    """Packs of up to four blocks."""
    pictures = draw(st.lists(st.integers(1, 4) | st.just(64), min_size=1, max_size=4))
    odd = draw(st.lists(PATHS, max_size=4, unique=True))
    names = [*dict.fromkeys([*odd, *(f"folder/{i}.png" for i in range(sum(pictures)))])][: sum(pictures)]
    blocks = []
    for many in pictures:
        first, second = draw(SHAPES), draw(SHAPES)
        shapes = [first, second] * 32 if many == 64 else [first] * (many - 1) + [second]
        length = draw(st.integers(0, 60) | st.integers(100, 300))
        parts = block(length, sizes=shapes, seed=draw(st.integers(0, 250)), complete=draw(st.booleans()))
        blocks.append((parts, tuple(names[:many])))
        del names[:many]
    return Pack(tuple(blocks))


@given(packs())
def test_what_was_packed_comes_back_the_same(pack):
    data = pack.to_bytes()
    assert Pack.parse(data) == pack
    pictures, names, files = taken_apart(data)
    assert pictures == [len(inside) for _, inside in pack.blocks]
    assert names == [name for _, inside in pack.blocks for name in inside]
    assert files == [block.to_bytes() for block, _ in pack.blocks]
    read = read_index(BytesIO(data))
    assert [block.names for block in read] == [inside for _, inside in pack.blocks]
    assert [block.read(BytesIO(data)) for block in read] == files


@given(packs(), st.data())
def test_to_read_one_block_the_index_and_that_block_are_read(pack, data):
    whole = pack.to_bytes()
    index_end = len(whole) - sum(len(block.to_bytes()) for block, _ in pack.blocks)
    file = Recorded(whole)
    blocks = read_index(file)
    assert file.seen == set(range(index_end))
    place = data.draw(st.integers(0, len(blocks) - 1))
    wanted, file.seen = blocks[place], set()
    assert OmegaFile.parse(wanted.read(file)) == pack.blocks[place][0]
    assert file.seen == set(range(wanted.start, wanted.start + wanted.size))


def test_a_pack_that_is_cut_off_anywhere_is_an_error_and_its_whole_blocks_are_not():
    ends = [INDEX_END + len(ONE), len(PACK)]
    for length in range(len(PACK)):
        part = PACK[:length]
        with pytest.raises(FileFormatError):
            Pack.parse(part)
        if length < INDEX_END:
            with pytest.raises(CutOffError if length >= 2 else FileFormatError):
                read_index(BytesIO(part))
            continue
        for block, end, whole in zip(read_index(BytesIO(part)), ends, (ONE, TWO), strict=True):
            if length >= end:
                assert block.read(BytesIO(part)) == whole
                continue
            missing = min(end - length, block.size)
            with pytest.raises(CutOffError, match=f"{missing} bytes of the block of {block.names[0]} ") as caught:
                block.read(BytesIO(part))
            assert caught.value.intact == 0


@pytest.mark.parametrize("change", [1, 0x80, 0xFF])
def test_a_changed_byte_of_the_index_is_noticed_and_one_of_a_block_harms_that_block_alone(change):
    for position in range(len(PACK)):
        damaged = bytearray(PACK)
        damaged[position] ^= change
        with pytest.raises(FileFormatError):
            Pack.parse(bytes(damaged))
        file = BytesIO(damaged)
        if position < INDEX_END:
            with pytest.raises(FileFormatError):
                read_index(file)
            continue
        for block, whole in zip(read_index(file), (ONE, TWO), strict=True):
            if block.start <= position < block.start + block.size:
                with pytest.raises(FileFormatError):
                    OmegaFile.parse(block.read(file))
            else:
                assert block.read(file) == whole


@given(packs(), st.data())
def test_a_changed_byte_of_any_pack_is_noticed(pack, data):
    whole = bytearray(pack.to_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FileFormatError):
        Pack.parse(bytes(whole))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_pack_are_refused(noise):
    for data in (noise, PACK[:2] + noise, PACK[:4] + noise, sealed(noise), sealed(b"\x01\0\x17" + noise, ONE)):
        with pytest.raises(FileFormatError):
            Pack.parse(data)


@pytest.mark.parametrize("more", [b"\0", ONE, PACK])
def test_bytes_after_the_last_block_are_damage(more):
    with pytest.raises(DamagedFileError, match="bytes follow its last block"):
        Pack.parse(PACK + more)


HARMFUL = [
    "",
    ".",
    "..",
    "../x",
    "x/..",
    "a/../../x",
    "./x",
    "a/./b",
    "/x",
    "//x",
    "a//b",
    "a/",
    "/",
    "C:x",
    "C:/x",
    "a/C:",
    "a:stream",
    "a\\b",
    "..\\x",
    "\\\\server\\x",
    "a/b\\..\\c",
    "a/" * 64 + "b",
]


@pytest.mark.parametrize("name", HARMFUL)
@pytest.mark.parametrize("place", [0, 1])
def test_a_name_that_leads_out_of_the_folder_is_refused_in_making_and_in_reading(name, place):
    names = ["fine", "also/fine"]
    Pack.parse(forged([each.encode() for each in names], [ONE, ONE]))
    names[place] = name
    with pytest.raises(ValueError, match="different relative paths"):
        Pack(tuple((OmegaFile.parse(ONE), (each,)) for each in names))
    with pytest.raises(DamagedFileError, match="names are invalid"):
        read_index(BytesIO(forged([each.encode() for each in names], [ONE, ONE])))


@pytest.mark.parametrize(
    "name", ["a", ".a", "a.", "...", "..a", "a..", " ", "a b/c", "-a", "ü/日本", "\u202e", "🎞", "a/" * 63 + "b"]
)
def test_a_name_that_stays_in_the_folder_is_taken(name):
    pack = Pack(((OmegaFile.parse(ONE), (name,)),))
    assert Pack.parse(pack.to_bytes()) == pack == Pack.parse(forged([name.encode()], [ONE]))


@pytest.mark.parametrize("name", ["a" * 4095, "ü" * 2047, "d/" * 63 + "a" * 3969])
def test_a_name_has_4095_bytes_at_the_most(name):
    pack = Pack(((OmegaFile.parse(ONE), (name,)),))
    assert Pack.parse(pack.to_bytes()) == pack == Pack.parse(forged([name.encode()], [ONE]))
    for more in (4096 - len(name.encode()), 4096):
        with pytest.raises(ValueError, match="different relative paths"):
            Pack(((OmegaFile.parse(ONE), (name + "a" * more,)),))
        with pytest.raises(DamagedFileError, match="names are invalid"):
            read_index(BytesIO(forged([(name + "a" * more).encode()], [ONE])))


def test_a_name_with_a_zero_byte_is_refused():
    for name in ("a\0b", "\0", "a\0"):
        with pytest.raises(ValueError, match="different relative paths"):
            Pack(((OmegaFile.parse(ONE), (name,)),))
        with pytest.raises(DamagedFileError, match="names are invalid"):
            read_index(BytesIO(forged([name.encode()], [ONE])))


@pytest.mark.parametrize("name", [b"\xff", b"a\xc3", b"\xed\xb2\x80", b"\xc0\xaf", b"\xc0\x80"])
def test_a_name_that_is_no_text_is_refused(name):
    with pytest.raises(DamagedFileError, match="names cannot be read"):
        read_index(BytesIO(forged([name], [ONE])))


def test_a_name_that_cannot_be_written_is_refused():
    with pytest.raises(ValueError, match=r"relative paths|surrogates not allowed"):
        Pack(((OmegaFile.parse(ONE), ("a\udc80",)),)).to_bytes()


def test_a_name_that_is_there_twice_is_refused_in_making_and_in_reading():
    for blocks in (
        ((OmegaFile.parse(ONE), ("a",)), (OmegaFile.parse(ONE), ("a",))),
        ((OmegaFile.parse(TWO), ("a", "a")),),
    ):
        with pytest.raises(ValueError, match="different relative paths"):
            Pack(blocks)
    for data in (forged([b"a", b"a"], [ONE, ONE]), forged([b"a", b"a"], [TWO], pictures=[2])):
        with pytest.raises(DamagedFileError, match="names are invalid"):
            read_index(BytesIO(data))


def test_a_block_has_a_name_for_each_of_its_pictures():
    for names in (("a", "b"), ("a", "b", "c")):
        with pytest.raises(ValueError, match="a name for each"):
            Pack(((OmegaFile.parse(ONE), names),))


def test_a_pack_without_pictures_is_refused_in_making_and_in_reading():
    with pytest.raises(ValueError, match="a pack has at least one picture"):
        Pack(())
    for packed in (zlib.compress(b""), zlib.compress(b"\0"), b""):
        with pytest.raises(DamagedFileError):
            read_index(BytesIO(forged([], [], packed=packed)))


@pytest.mark.parametrize(
    ("names", "pictures"),
    [
        ([b"a"], [1, 1]),
        ([b"a", b"b", b"c"], [1, 1]),
        ([b"a", b"b"], [1, 2]),
        ([], [1, 1]),
    ],
)
def test_names_that_are_more_or_fewer_than_pictures_are_damage(names, pictures):
    with pytest.raises(DamagedFileError, match="names are invalid"):
        read_index(BytesIO(forged(names, [ONE, ONE], pictures=pictures)))


@pytest.mark.parametrize(
    ("names", "pictures"),
    [
        ([b"a", b"b"], [1, 1]),  # of the second there are two
        ([b"a", b"b", b"c"], [2, 1]),  # the first has one, the second two
        ([b"a", b"b", b"c", b"d"], [1, 3]),
    ],
)
def test_a_block_that_has_other_pictures_than_the_index_says_is_damage(names, pictures):
    with pytest.raises(DamagedFileError, match="more or fewer pictures than names"):
        Pack.parse(forged(names, [ONE, TWO], pictures=pictures))


def test_a_block_has_64_pictures_at_the_most():
    names = [f"{i}".encode() for i in range(256)]
    full = block(sizes=[(28, 28)] * 64).to_bytes()
    assert len(Pack.parse(forged(names[:64], [full], pictures=[64])).blocks[0][1]) == 64
    for many in (65, 256):
        with pytest.raises(DamagedFileError):
            read_index(BytesIO(forged(names[:many], [full], pictures=[many])))


@pytest.mark.parametrize("sizes", [[22, 23], [24, 21], [0, 45], [45, 0], [23, 21]])
def test_blocks_that_begin_elsewhere_than_the_index_says_are_an_error(sizes):
    names = [b"a", b"b", b"c"]
    Pack.parse(forged(names, [ONE, TWO], pictures=[1, 2], sizes=[23, 22]))
    with pytest.raises(FileFormatError):
        Pack.parse(forged(names, [ONE, TWO], pictures=[1, 2], sizes=sizes))


@pytest.mark.parametrize("size", [23, 1 << 27])
def test_a_block_that_is_said_to_be_longer_than_the_pack_takes_no_memory_for_what_is_missing(size):
    data = forged([b"a"], [ONE[:-1]], sizes=[size])
    tracemalloc.start()
    try:
        with pytest.raises(CutOffError, match=f"{size - 22} bytes of the block of a are missing"):
            Pack.parse(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"\x80",  # half a number
        b"\x01",  # one block, of which nothing is told
        b"\x02\0\x17",  # two, of which one is told
        b"\xff\xff\xff\x7f" + b"\0\x17" * 100,  # a quarter of a billion
        b"\x01\0\x97\0" + zlib.compress(b"a\0"),  # a size with more bytes than needed
        b"\x01\0\x17",  # no names
        b"\x01\0\x17" + zlib.compress(b"a\0")[:-1],
        b"\x01\0\x17" + zlib.compress(b"a\0") + b"\0",
        b"\x01\0\x17" + zlib.compress(b"a"),  # not ended
        b"\x01\0\x17" + b"a\0",  # not compressed
    ],
)
def test_an_index_that_is_not_as_it_has_to_be_is_damage_in_spite_of_its_checksum(index):
    Pack.parse(sealed(b"\x01\0\x17" + zlib.compress(b"a\0"), ONE))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFileError):
            read_index(BytesIO(sealed(index, ONE)))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("bomb", [bytes(1 << 26), b"a" * (1 << 26) + b"\0", b"a/" * (1 << 25) + b"\0"])
def test_names_that_inflate_to_megabytes_are_damage_and_take_no_memory(bomb):
    data = forged([], [ONE], packed=zlib.compress(bomb, 9))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFileError, match="names are invalid"):
            read_index(BytesIO(data))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@given(packs(), st.integers(0, 900))
def test_a_truncated_pack_has_the_same_share_of_every_stream_and_at_least_a_byte(pack, length):
    short, total = pack.truncated(length), pack.stream_bytes
    for (before, names), (after, same) in zip(pack.blocks, short.blocks, strict=True):
        own = before.stream_bytes
        assert after == before.truncated(max(1, own * min(length, total) // max(1, total)))
        assert names == same
    assert pack.truncated_size(length) == len(short.to_bytes())
    assert Pack.parse(short.to_bytes()) == short
    assert short.stream_bytes <= length + len(pack.blocks)
    assert pack.truncated_size(1) == len(pack.truncated(0).to_bytes())


@given(packs())
def test_a_pack_with_all_bytes_of_its_streams_is_as_it_was(pack):
    assert pack.truncated(pack.stream_bytes) == pack
    assert pack.stream_bytes == sum(len(block.stream) for block, _ in pack.blocks)
    assert pack.pixels == sum(h * w for block, _ in pack.blocks for h, w in block.header.sizes)
    assert truncate(pack.to_bytes(), max_bytes=len(pack.to_bytes())) == pack.to_bytes()


@given(packs(), st.integers(-30, 900))
def test_no_budget_of_a_pack_is_exceeded_and_none_is_wasted(pack, more):
    whole, budget = pack.to_bytes(), max(1, pack.truncated_size(1) + more)
    if more < 0:
        with pytest.raises(RateError) as caught:
            truncate(whole, max_bytes=budget)
        assert caught.value.least_bytes == pack.truncated_size(1)
        return
    data = truncate(whole, max_bytes=budget)
    length = length_within(pack, budget)
    assert len(data) <= budget
    assert Pack.parse(data) == pack.truncated(length)
    assert length == pack.stream_bytes or pack.truncated_size(length + 1) > budget


def test_the_bytes_that_a_pack_leaves_of_its_budget_are_few():
    pack = Pack(tuple((block(100 + 50 * seed, seed=seed), (f"{seed}",)) for seed in range(5)))
    whole = pack.to_bytes()
    for budget in range(pack.truncated_size(1), len(whole)):
        assert 0 <= budget - len(truncate(whole, max_bytes=budget)) <= len(pack.blocks)


def test_a_damaged_pack_is_not_truncated():
    for position in (5, INDEX_END + 3, len(PACK) - 1):
        damaged = bytearray(PACK)
        damaged[position] ^= 1
        with pytest.raises(DamagedFileError):
            truncate(bytes(damaged), max_bytes=len(PACK) - 3)
    with pytest.raises(CutOffError):
        truncate(PACK[:-1], max_bytes=len(PACK) - 3)


def test_blocks_of_a_pack_keep_their_fields():
    one = OmegaFile.parse(ONE)
    parts = OmegaFile(replace(one.header, mode="LA", alpha=b"\xaa", unknown={200: b"\xbb"}), one.stream)
    pack = Pack(((parts, ("a",)), (OmegaFile.parse(TWO), ("b", "c"))))
    [(short, names), _] = Pack.parse(truncate(pack.to_bytes(), max_bytes=pack.truncated_size(6))).blocks
    assert names == ("a",)
    assert short == parts.truncated(short.stream_bytes)
    assert 1 < short.stream_bytes < 8


def test_a_pack_has_a_quarter_of_a_million_pictures_at_the_most():
    most = 1 << 12  # blocks of 64 pictures
    for blocks, names in ((most + 1, b"ab\0" * (64 * (most + 1))), (1 << 20, b"")):
        tracemalloc.start()
        try:
            with pytest.raises(DamagedFileError, match="invalid blocks"):
                read_index(BytesIO(sealed(varint(blocks) + b"\x3f\x17" * blocks + zlib.compress(names), ONE)))
            assert tracemalloc.get_traced_memory()[1] < 1 << 24
        finally:
            tracemalloc.stop()
    with pytest.raises(ValueError, match="a pack has at most 262144 pictures"):
        Pack(tuple((block(sizes=[(1, 1)] * 64), tuple(f"{n}/{i}" for i in range(64))) for n in range(most + 1)))


@pytest.mark.parametrize("data", [ONE, TWO, PACK])
def test_of_a_stream_no_more_is_read_than_a_file_or_pack_says_and_one_byte(data):
    for more in (b"", b"m", b"more"):
        stream = BytesIO(data + more)
        assert read_coded(stream) == data + more[:1]
    for length in (len(data) - 1, len(data) - 5):
        if length > INDEX_END or data != PACK:
            assert read_coded(BytesIO(data[:length])) == data[:length]


def test_of_a_stream_of_something_else_hardly_anything_is_read():
    stream = BytesIO(bytes(1 << 20))
    with pytest.raises(FileFormatError):
        read_coded(stream)
    assert stream.tell() < 16


def test_an_index_that_claims_many_pictures_for_few_bytes_takes_no_memory_for_their_names():
    index = varint(4096) + b"\xff\x00" * 4096 + zlib.compress(b"a\0" * (1 << 23), 9)
    head = b"\xcf\x89\x01" + varint(len(index)) + index
    tracemalloc.start()
    try:
        with pytest.raises(DamagedFileError, match="invalid blocks"):
            read_index(BytesIO(head + zlib.crc32(head).to_bytes(4, "little")))
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_all_names_together_have_16_megabytes_at_the_most():
    names = [f"{number:04}".ljust(4095, "a") for number in range(1 << 12)]
    blocks = [(block(sizes=[(1, 1)] * 64), tuple(names[first : first + 64])) for first in range(0, 1 << 12, 64)]
    pack = Pack(tuple(blocks))
    assert Pack.parse(pack.to_bytes()) == pack
    with pytest.raises(ValueError, match="have at most 16777216 bytes"):
        Pack((*blocks, (block(), ("b",))))
    with pytest.raises(DamagedFileError, match="names are invalid"):
        read_index(BytesIO(forged([*(name.encode() for name in names), b"b"], [ONE] * 4097)))
