import tracemalloc

import pytest
from file_samples import HANDWRITTEN, LARGE_FILE, SMALL, SMALL_FILE, any_files
from hypothesis import given
from hypothesis import strategies as st

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError
from omega_core.format.file import OmegaFile


@HANDWRITTEN
def test_a_file_written_by_hand_is_read(data, file):
    assert OmegaFile.parse(data) == file


@HANDWRITTEN
def test_a_file_is_written_as_by_hand(data, file):
    assert file.to_bytes() == data


@given(any_files())
def test_a_file_that_was_written_is_read_the_same(file):
    assert OmegaFile.parse(file.to_bytes()) == file
    assert OmegaFile.parse(file.to_bytes(), partial=True) == file
    assert OmegaFile.parse(file.to_bytes()).to_bytes() == file.to_bytes()


@HANDWRITTEN
def test_every_changed_byte_is_noticed(data, file):
    for i in range(len(data)):
        for value in {*range(256)} - {data[i]}:
            try:  # pytest.raises would take most of the time
                OmegaFile.parse(data[:i] + bytes([value]) + data[i + 1 :])
            except FileFormatError:
                continue
            pytest.fail(f"byte {i} may be {value}, too")


@given(any_files(), st.data())
def test_a_changed_byte_of_any_file_is_noticed(file, data):
    whole = bytearray(file.to_bytes())
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FileFormatError):
        OmegaFile.parse(bytes(whole))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_file_are_refused(noise):
    for data in (noise, SMALL[:2] + noise, SMALL[:4] + noise, SMALL[:10] + noise):
        with pytest.raises(FileFormatError):
            OmegaFile.parse(data)


@HANDWRITTEN
@pytest.mark.parametrize("more", [b"\0", b"\r\n", SMALL])
def test_bytes_after_the_end_are_damage(data, file, more):
    with pytest.raises(DamagedFileError, match=f"{len(more)} bytes more"):
        OmegaFile.parse(data + more)


@HANDWRITTEN
def test_every_file_that_breaks_off_says_how_many_bytes_of_its_stream_are_there(data, file):
    start = len(data) - len(file.stream) - 4
    for length in range(2, len(data)):
        with pytest.raises(CutOffError) as caught:
            OmegaFile.parse(data[:length])
        assert caught.value.intact == min(len(file.stream), max(0, length - start))
    for length in range(2):
        with pytest.raises(FileFormatError, match=r"not an \.omega file"):
            OmegaFile.parse(data[:length])


@given(any_files(), st.data())
def test_what_is_there_of_a_file_that_breaks_off_is_a_truncated_file(file, data):
    whole = file.to_bytes()
    part = whole[: data.draw(st.integers(2, len(whole) - 1))]
    with pytest.raises(CutOffError) as caught:
        OmegaFile.parse(part)
    if caught.value.intact:
        assert OmegaFile.parse(part, partial=True) == file.truncated(caught.value.intact)
    else:
        with pytest.raises(CutOffError):
            OmegaFile.parse(part, partial=True)


def test_a_file_that_breaks_off_says_whether_anything_can_be_decoded():
    with pytest.raises(CutOffError, match="Nothing can be decoded"):
        OmegaFile.parse(SMALL[:11], partial=True)
    with pytest.raises(CutOffError, match=r"incomplete \(17 of 20 bytes of its stream\)\. To decode what has"):
        OmegaFile.parse(SMALL[:-7])


@pytest.mark.parametrize("partial", [False, True])
def test_a_file_that_claims_a_stream_of_gigabytes_takes_no_memory_for_it(partial):
    data = SMALL[:3] + b"\x74" + SMALL[4:10] + b"\xff" * 4 + bytes(range(20))
    tracemalloc.start()
    try:
        if partial:
            file = OmegaFile.parse(data, partial=True)
        else:
            with pytest.raises(CutOffError) as caught:
                OmegaFile.parse(data)
            assert caught.value.intact == 20
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    if partial:
        assert not file.header.complete
        assert file.stream == bytes(range(20))


@given(any_files(), st.integers(0, 400), st.integers(0, 400))
def test_truncating_twice_is_truncating_once(file, more, fewer):
    fewer, more = sorted((fewer, more))
    once = file.truncated(fewer)
    assert file.truncated(more).truncated(fewer) == once
    assert once.truncated(fewer) == once == once.truncated(more)
    assert OmegaFile.parse(once.to_bytes()) == once


@given(any_files(), st.integers(0, 500))
def test_a_truncated_file_has_the_first_bytes_of_the_stream_and_is_complete_only_with_all(file, length):
    short = file.truncated(length)
    assert short.stream == file.stream[:length]
    assert short.header.complete == (file.header.complete and length >= len(file.stream))
    assert (short.stream_bytes, short.pixels) == (len(short.stream), file.pixels)


def test_truncating_to_the_whole_stream_or_more_changes_nothing():
    assert LARGE_FILE.truncated(3) == LARGE_FILE == LARGE_FILE.truncated(99)


@given(any_files(), st.integers(0, 500))
def test_sizes_of_truncated_files_are_known_without_making_them(file, length):
    assert file.truncated_size(length) == len(file.truncated(length).to_bytes())
    assert file.truncated_size(1) == len(file.truncated(1).to_bytes())


def test_a_header_of_more_bytes_than_there_are_is_refused():
    with pytest.raises(ValueError, match="the stream has 20 bytes, not 21"):
        SMALL_FILE.header.truncated(21)


def test_a_stream_of_another_length_than_its_header_says_is_refused():
    for stream in (SMALL_FILE.stream[:-1], SMALL_FILE.stream + b"\0"):
        with pytest.raises(ValueError, match=f"the stream has {len(stream)} bytes, not 20"):
            OmegaFile(SMALL_FILE.header, stream)
