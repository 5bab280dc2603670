import tracemalloc
from io import BytesIO

import pytest
from file_samples import HANDWRITTEN, LARGE, SMALL, SMALL_FILE, any_files
from hypothesis import given
from hypothesis import strategies as st

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError
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
def test_of_a_file_that_arrives_no_more_is_read_than_a_cut_needs(data, file, cuts, most):
    stream = Counting(data + b"of something else", most)
    arriving = StreamingFile(stream)
    start = start_of_stream(data, file)
    assert (stream.given, arriving.header) == (start, file.header)
    for channels, size in cuts.items():
        assert arriving.up_to(channels) == file.truncated(channels)
        assert stream.given == (start + size if channels < file.channels else len(data))


@given(any_files(), st.integers(1, 700))
def test_a_file_that_arrives_in_pieces_is_shortened_at_every_cut(file, most):
    arriving = StreamingFile(Counting(file.to_bytes(), most))
    assert [arriving.up_to(n) for n in file.header.cuts] == [file.truncated(n) for n in file.header.cuts]


def test_cuts_of_a_file_that_arrives_may_be_left_out_and_asked_for_again():
    arriving = StreamingFile(Counting(SMALL, 1))
    for channels in (2, 1, 3, 2):
        assert arriving.up_to(channels) == SMALL_FILE.truncated(channels)


def cuts_that_arrive(data):
    """The cuts that can be had of what arrives of a file, and the error that ends them."""
    arrived = []
    try:
        arriving = StreamingFile(Counting(data, 5))
        for channels in arriving.header.cuts:
            arriving.up_to(channels)
            arrived.append(channels)
    except FileFormatError as problem:
        return arrived, problem
    return arrived, None


@HANDWRITTEN
def test_a_file_that_breaks_off_while_it_arrives_still_had_its_first_cuts(data, file, cuts):
    start = start_of_stream(data, file)
    for length in range(2, len(data)):
        arrived, problem = cuts_that_arrive(data[:length])
        intact = [n for n, size in cuts.items() if length >= start + size]
        assert arrived == [n for n in intact if n < file.channels]
        assert type(problem) is CutOffError
        assert problem.intact == max(intact, default=0)
        with pytest.raises(CutOffError) as caught:
            OmegaFile.parse(data[:length])
        assert str(problem) == str(caught.value)
    assert cuts_that_arrive(data) == (list(cuts), None)


@HANDWRITTEN
def test_damage_to_a_file_that_arrives_is_noticed_at_its_last_cut(data, file, cuts):
    *earlier, _ = cuts
    for position in range(start_of_stream(data, file), len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 1
        arrived, problem = cuts_that_arrive(bytes(damaged))
        assert arrived == earlier
        assert type(problem) is DamagedFileError
        assert "checksum does not match" in str(problem)


def test_what_arrives_and_is_no_file_is_refused_at_once():
    for data in (b"", b"\xce", b"hello"):
        with pytest.raises(FileFormatError, match=r"not an \.omega file"):
            StreamingFile(Counting(data))


def test_a_file_that_arrives_and_claims_a_stream_of_gigabytes_takes_no_memory_for_it():
    for sizes in ("05 0c ffffffff", "05 ff ffffffff"):
        data = SMALL[:10] + bytes.fromhex(f"c2 {sizes}") + bytes(range(20))
        tracemalloc.start()
        try:
            arriving = StreamingFile(Counting(data))
            assert arriving.up_to(1) == SMALL_FILE.truncated(1)
            with pytest.raises(CutOffError):
                arriving.up_to(3)
            assert tracemalloc.get_traced_memory()[1] < 1 << 20
        finally:
            tracemalloc.stop()


def test_a_cut_after_more_bytes_than_a_header_can_say_is_not_reached():
    arriving = StreamingFile(SMALL[:10] + bytes.fromhex("c2 05 ff ffffffff") + bytes(range(20)))
    with pytest.raises(CutOffError):
        arriving.up_to(2)


def test_a_file_that_arrives_cannot_be_had_where_there_is_no_cut():
    stream = Counting(LARGE)
    arriving = StreamingFile(stream)
    read = stream.given
    with pytest.raises(ValueError, match=r"no cut after 36 channels, only after .20, 37."):
        arriving.up_to(36)
    assert stream.given == read
