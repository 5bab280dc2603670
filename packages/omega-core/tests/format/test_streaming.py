import tracemalloc
from io import BytesIO

import pytest
from file_samples import HANDWRITTEN, SMALL, SMALL_FILE, any_files
from hypothesis import given
from hypothesis import strategies as st

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError, OmegaError
from omega_core.format.file import OmegaFile
from omega_core.format.streaming import StreamingFile


class Counting:
    """A stream that gives at most so many bytes at a time, and counts those that it gave."""

    def __init__(self, data, most=1 << 20):
        self.data, self.most, self.given = BytesIO(data), most, 0

    def read(self, count):
        found = self.data.read(min(count, self.most))
        self.given += len(found)
        return found


def start_of_stream(data, file):
    return len(data) - 4 - len(file.stream)


@HANDWRITTEN
@pytest.mark.parametrize("most", [1, 3, 1 << 20])
def test_of_a_file_that_arrives_no_more_is_read_than_was_asked_for(data, file, most):
    source = Counting(data + b"of something else", most)
    arriving = StreamingFile(source)
    start = start_of_stream(data, file)
    assert (source.given, arriving.start, arriving.header) == (start, start, file.header)
    for length in range(len(file.stream) + 1):
        assert arriving.up_to(length) == file.stream[:length]
        assert source.given == (start + length if length < len(file.stream) else len(data))


@given(any_files(), st.integers(1, 700), st.lists(st.integers(0, 500), max_size=5))
def test_a_file_that_arrives_in_pieces_gives_all_bytes_so_far(file, most, lengths):
    arriving = StreamingFile(Counting(file.to_bytes(), most))
    for length in (*sorted(lengths), len(file.stream), len(file.stream) + 1):
        assert arriving.up_to(length) == file.stream[:length]


def test_fewer_bytes_may_be_asked_for_again():
    arriving = StreamingFile(Counting(SMALL, 1))
    for length in (7, 2, 20, 3, 99):
        assert arriving.up_to(length) == SMALL_FILE.stream[:length]


def lengths_that_arrive(data):
    """The lengths of the stream that can be had of what arrives of a file, and the error that ends them."""
    arrived = []
    try:
        arriving = StreamingFile(Counting(data, 5))
        for length in range(arriving.header.length + 1):
            arriving.up_to(length)
            arrived.append(length)
    except FileFormatError as problem:
        return arrived, problem
    return arrived, None


@HANDWRITTEN
def test_a_file_that_breaks_off_while_it_arrives_still_had_its_first_bytes(data, file):
    start = start_of_stream(data, file)
    for length in {*range(2, min(len(data), 60)), *range(len(data) - 9, len(data))}:
        arrived, problem = lengths_that_arrive(data[:length])
        there = min(max(0, length - start), len(file.stream))
        assert arrived == [n for n in range(len(file.stream)) if start + n <= length]
        assert type(problem) is CutOffError
        assert problem.intact == there
        with pytest.raises(CutOffError) as caught:
            OmegaFile.parse(data[:length])
        assert str(problem) == str(caught.value)
    assert lengths_that_arrive(data) == ([*range(len(file.stream) + 1)], None)


@HANDWRITTEN
def test_damage_to_a_file_that_arrives_is_noticed_at_its_end(data, file):
    start = start_of_stream(data, file)
    for position in {*range(start, min(len(data), start + 30)), *range(len(data) - 4, len(data))}:
        damaged = bytearray(data)
        damaged[position] ^= 1
        arrived, problem = lengths_that_arrive(bytes(damaged))
        assert arrived == [*range(len(file.stream))]
        assert type(problem) is DamagedFileError
        assert "checksum does not match" in str(problem)


def test_what_arrives_and_is_no_file_is_refused_at_once():
    for data in (b"", b"\xce", b"hello"):
        with pytest.raises(FileFormatError, match=r"not an \.omega file"):
            StreamingFile(Counting(data))


def test_a_path_does_not_arrive():
    with pytest.raises(OmegaError, match="bytes or an open file are needed, not str"):
        StreamingFile("a.omega")


def test_a_file_that_arrives_and_claims_a_stream_of_gigabytes_takes_no_memory_for_it():
    data = SMALL[:3] + b"\x74" + SMALL[4:10] + b"\xff" * 4 + bytes(range(20))
    tracemalloc.start()
    try:
        arriving = StreamingFile(Counting(data))
        assert arriving.up_to(20) == bytes(range(20))
        with pytest.raises(CutOffError) as caught:
            arriving.up_to(1 << 32)
        assert caught.value.intact == 20
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
