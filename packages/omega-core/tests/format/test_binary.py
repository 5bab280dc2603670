import io
import tracemalloc
from io import BytesIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from omega_core.errors import CutOffError, DamagedFileError, OmegaError
from omega_core.format.binary import Reader, varint

VARINTS = pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (300, "ac02"),
        (16383, "ff7f"),
        (16384, "808001"),
        ((1 << 21) - 1, "ffff7f"),
        (1 << 21, "80808001"),
        ((1 << 28) - 1, "ffffff7f"),
    ],
)


class Slow:
    """A stream that gives a byte at a time, and remembers what it was asked for."""

    def __init__(self, data):
        self.data, self.asked = BytesIO(data), []

    def read(self, count):
        self.asked.append(count)
        return self.data.read(min(count, 1))


def test_bytes_are_taken_one_after_the_other():
    reader = Reader(b"abcdefg")
    assert (reader.bytes(2), reader.byte(), reader.read_up_to(3), reader.read_up_to(0), reader.bytes(0)) == (
        b"ab",
        ord("c"),
        b"def",
        b"",
        b"",
    )
    assert reader.taken == b"abcdef"
    assert (reader.read_up_to(9), reader.read_up_to(1)) == (b"g", b"")
    assert reader.taken == b"abcdefg"


@given(st.binary(max_size=300), st.lists(st.integers(0, 40), max_size=12))
def test_a_stream_that_gives_a_byte_at_a_time_reads_as_the_bytes_do(data, counts):
    slow, quick = Reader(Slow(data)), Reader(data)
    for count in counts:
        assert slow.read_up_to(count) == quick.read_up_to(count)
    assert slow.taken == quick.taken == data[: sum(counts)]


def test_a_stream_is_never_asked_for_more_than_is_needed():
    stream = Slow(bytes(10))
    Reader(stream).bytes(4)
    assert stream.asked == [4, 3, 2, 1]


def test_a_stream_that_has_ended_is_not_asked_again_within_a_read():
    stream = Slow(b"ab")
    assert Reader(stream).read_up_to(4) == b"ab"
    assert stream.asked == [4, 3, 2]


def test_a_file_that_is_open_as_text_is_refused(tmp_path):
    path = tmp_path / "a.omega"
    path.write_bytes(b"\xff\xfe")
    with path.open() as file, pytest.raises(OmegaError, match=r"the file .*a\.omega gives text.* such as 'rb'\.$"):
        Reader(file)
    with pytest.raises(OmegaError, match="the file StringIO gives text, not bytes"):
        Reader(io.StringIO("a"))


@pytest.mark.parametrize("count", [1, 3, 1 << 27])
def test_bytes_that_are_not_there_are_a_file_that_breaks_off(count):
    with pytest.raises(CutOffError, match=r"it ends in its header\. Nothing can be decoded") as caught:
        Reader(b"ab"[: count - 1]).bytes(count)
    assert caught.value.intact == 0


def test_no_memory_is_taken_for_bytes_that_are_not_there():
    class Obliging(BytesIO):
        """Makes room for all that it is asked for, as sockets do."""

        def read(self, count):
            return bytes(bytearray(count)[: len(found)]) if (found := super().read(count)) else b""

    tracemalloc.start()
    try:
        assert len(Reader(Obliging(bytes(1000))).read_up_to(1 << 28)) == 1000
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_many_bytes_are_read_whole():
    data = bytes(range(256)) * 1000
    reader = Reader(b"x" + data + b"y")
    assert (reader.byte(), reader.bytes(len(data)), reader.byte()) == (ord("x"), data, ord("y"))


@VARINTS
def test_a_number_is_written_seven_bits_a_byte_the_lowest_first(value, written):
    assert varint(value) == bytes.fromhex(written)


@VARINTS
def test_a_number_is_read_and_nothing_after_it(value, written):
    reader = Reader(bytes.fromhex(written) + b"\x81")
    assert reader.varint() == value
    assert reader.read_up_to(9) == b"\x81"


@given(st.integers(0, (1 << 28) - 1))
def test_every_number_below_two_to_the_28_comes_back(value):
    assert Reader(varint(value)).varint() == value


@pytest.mark.parametrize("value", [-1, 1 << 28, 1 << 40])
def test_other_numbers_are_refused(value):
    with pytest.raises(ValueError, match=f"{value} is not a number from 0 to 268435455"):
        varint(value)


@pytest.mark.parametrize("written", ["8000", "808000", "80808000", "ff00", "8080808001", "80808080", "ffffffff7f"])
def test_a_number_that_is_too_long_or_written_with_more_bytes_than_needed_is_damage(written):
    with pytest.raises(DamagedFileError, match="not a canonical varint"):
        Reader(bytes.fromhex(written)).varint()


@pytest.mark.parametrize("written", ["", "80", "8080", "ffffff"])
def test_a_number_that_breaks_off_is_a_file_that_does(written):
    with pytest.raises(CutOffError):
        Reader(bytes.fromhex(written)).varint()


@example(b"\x80\x00")
@given(st.binary(max_size=6) | st.text("\x00\x01\x7f\x80\xff", max_size=6).map(lambda text: text.encode("latin1")))
def test_there_is_one_way_only_to_write_a_number(data):
    reader = Reader(data)
    try:
        value = reader.varint()
    except (CutOffError, DamagedFileError):
        return
    assert varint(value) == reader.taken


def test_bytes_that_were_looked_at_are_taken_once():
    for source in (b"abcdef", Slow(b"abcdef")):
        reader = Reader(source)
        assert (reader.peek(2), reader.peek(4), reader.peek(0), bytes(reader.taken)) == (b"ab", b"abcd", b"", b"")
        assert (reader.byte(), reader.bytes(4), reader.peek(9), reader.read_up_to(9)) == (97, b"bcde", b"f", b"f")
        assert bytes(reader.taken) == b"abcdef"


def test_a_reader_tells_how_many_bytes_it_wanted():
    reader = Reader(b"\x05abc")
    with pytest.raises(CutOffError):
        reader.bytes(reader.varint())
    assert reader.wanted == 6


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_may_be_of_any_kind(kind):
    assert Reader(kind(b"abc")).bytes(2) == b"ab"
