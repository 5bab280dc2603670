import tracemalloc

import pytest
from file_samples import HANDWRITTEN, LARGE_FILE, SMALL, SMALL_FILE, any_files
from hypothesis import given
from hypothesis import strategies as st

from omega_core.errors import CutOffError, DamagedFileError, FileFormatError
from omega_core.format.file import OmegaFile


@HANDWRITTEN
def test_a_file_written_by_hand_is_read(data, file, cuts):
    assert OmegaFile.parse(data) == file
    assert file.header.cuts == cuts


@HANDWRITTEN
def test_a_file_is_written_as_by_hand(data, file, cuts):
    assert file.to_bytes() == data


@given(any_files())
def test_a_file_that_was_written_is_read_the_same(file):
    assert OmegaFile.parse(file.to_bytes()) == file
    assert OmegaFile.parse(file.to_bytes(), partial=True) == file
    assert OmegaFile.parse(file.to_bytes()).to_bytes() == file.to_bytes()


@HANDWRITTEN
def test_every_changed_byte_is_noticed(data, file, cuts):
    for i in range(len(data)):
        for value in range(256):
            if value != data[i]:
                with pytest.raises(FileFormatError):
                    OmegaFile.parse(data[:i] + bytes([value]) + data[i + 1 :])


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
def test_bytes_after_the_end_are_damage(data, file, cuts, more):
    with pytest.raises(DamagedFileError, match=f"{len(more)} bytes more"):
        OmegaFile.parse(data + more)


@HANDWRITTEN
def test_every_cut_off_file_says_how_many_channels_are_intact(data, file, cuts):
    start = len(data) - len(file.stream) - 4
    for length in range(2, len(data)):
        with pytest.raises(CutOffError) as caught:
            OmegaFile.parse(data[:length])
        assert caught.value.intact == max((n for n, size in cuts.items() if length - start >= size), default=0)
    for length in range(2):
        with pytest.raises(FileFormatError, match=r"not an \.omega file"):
            OmegaFile.parse(data[:length])


@given(any_files(), st.data())
def test_what_is_intact_of_a_cut_off_file_is_a_file_shortened(file, data):
    whole = file.to_bytes()
    part = whole[: data.draw(st.integers(2, len(whole) - 1))]
    with pytest.raises(CutOffError) as caught:
        OmegaFile.parse(part)
    intact = caught.value.intact
    if intact:
        assert OmegaFile.parse(part, partial=True) == file.truncated(intact)
    else:
        with pytest.raises(CutOffError):
            OmegaFile.parse(part, partial=True)


def test_a_cut_off_file_without_any_channel_says_so():
    with pytest.raises(CutOffError, match="No channel is intact"):
        OmegaFile.parse(SMALL[:16], partial=True)
    with pytest.raises(CutOffError, match=r"7 bytes are missing\. Its first 2 of 3 channels are intact"):
        OmegaFile.parse(SMALL[:-7])


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
            file = OmegaFile.parse(data, partial=True)
        else:
            with pytest.raises(CutOffError) as caught:
                OmegaFile.parse(data, partial=partial)
            assert caught.value.intact == intact
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    if partial and intact:
        assert file == SMALL_FILE.truncated(intact)


@given(any_files(), st.data())
def test_shortening_twice_is_shortening_once(file, data):
    more = data.draw(st.sampled_from(list(file.header.cuts)))
    fewer = data.draw(st.sampled_from([n for n in file.header.cuts if n <= more]))
    once = file.truncated(fewer)
    assert file.truncated(more).truncated(fewer) == once
    assert once.truncated(fewer) == once
    assert OmegaFile.parse(once.to_bytes()) == once


@given(any_files())
def test_a_shortened_file_has_the_cuts_before_and_a_stream_that_is_a_prefix(file):
    for channels, size in file.header.cuts.items():
        short = file.truncated(channels)
        assert short.header.cuts == {n: end for n, end in file.header.cuts.items() if n <= channels}
        assert short.stream == file.stream[:size]


def test_shortening_to_all_channels_changes_nothing():
    assert LARGE_FILE.truncated(37) == LARGE_FILE


@pytest.mark.parametrize("channels", [-1, 0, 19, 36, 38])
def test_a_file_cannot_be_shortened_where_there_is_no_cut(channels):
    with pytest.raises(ValueError, match=f"no cut after {channels} channels, only after .20, 37."):
        LARGE_FILE.truncated(channels)


@given(any_files())
def test_sizes_of_files_at_cuts_are_known_without_making_them(file):
    assert file.file_sizes == {n: len(file.truncated(n).to_bytes()) for n in file.header.cuts}


def test_a_stream_of_another_length_than_its_header_says_is_refused():
    for stream in (SMALL_FILE.stream[:-1], SMALL_FILE.stream + b"\0"):
        with pytest.raises(ValueError, match=f"the stream has {len(stream)} bytes, not 20"):
            OmegaFile(SMALL_FILE.header, stream)
