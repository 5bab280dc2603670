import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from omega_core.errors import DamagedFileError
from omega_core.format.limits import MAX_PROFILE_BYTES
from omega_core.images.alpha_and_profile import (
    compress_planes,
    compress_profile,
    decompress_planes,
    decompress_profile,
)

OPAQUE = np.full((3, 4), 255, np.uint8)


@st.composite
def plane_lists(draw):
    shapes = draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=5))
    few = st.sampled_from([0, 1, 128, 255])
    return [draw(arrays(np.uint8, shape, elements=few | st.integers(0, 255))) for shape in shapes]


@pytest.fixture
def peak_memory():
    """Calls a function that has to find damage, and returns the most bytes that it had taken."""

    def measure(function, *arguments):
        tracemalloc.start()
        try:
            with pytest.raises(DamagedFileError):
                function(*arguments)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure


@given(plane_lists())
@example([OPAQUE, np.zeros((1, 1), np.uint8)])
@example([np.arange(256, dtype=np.uint8)[::-1, None], np.arange(256, dtype=np.uint8)[None]])
def test_planes_come_back_the_same(planes):
    decoded = decompress_planes(compress_planes(planes), [plane.shape for plane in planes])
    assert len(decoded) == len(planes)
    for before, after in zip(planes, decoded, strict=True):
        assert after.dtype == np.uint8
        assert after.shape == before.shape
        assert (after == before).all()


@pytest.mark.parametrize("seen", [np.s_[::-1], np.s_[:, ::-1], np.s_[::2, 1::2]])
def test_planes_may_be_seen_in_another_order(noise_picture, seen):
    plane = noise_picture(7, 8)[seen]
    [decoded] = decompress_planes(compress_planes([plane]), [plane.shape])
    assert (decoded == plane).all()


def test_planes_are_stored_row_by_row_less_the_row_above(noise_picture):
    planes = [noise_picture(4, 3), noise_picture(2, 5, seed=1)]
    stored = zlib.decompress(compress_planes(planes))
    expected = []
    for plane in planes:
        above = [0] * plane.shape[1]
        for row in plane.tolist():
            expected += [(value - over) % 256 for value, over in zip(row, above, strict=True)]
            above = row
    assert list(stored) == expected


@pytest.mark.parametrize("planes", [[OPAQUE], [OPAQUE, OPAQUE[:1]]])
def test_opaque_planes_take_no_bytes(planes):
    assert compress_planes(planes) == b""


def test_one_value_that_is_not_opaque_is_kept():
    planes = [OPAQUE, OPAQUE.copy()]
    planes[1][2, 3] = 254
    data = compress_planes(planes)
    assert data
    assert decompress_planes(data, [(3, 4), (3, 4)])[1][2, 3] == 254


def test_no_bytes_are_opaque_planes_of_any_size():
    decoded = decompress_planes(b"", [(3, 4), (1, 1)])
    assert [plane.shape for plane in decoded] == [(3, 4), (1, 1)]
    assert all((plane == 255).all() and plane.dtype == np.uint8 for plane in decoded)


def test_a_plain_plane_takes_few_bytes():
    plane = np.zeros((300, 300), np.uint8)
    plane[:, 100:200] = 200
    assert len(compress_planes([plane])) < 150


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([(3, 5)], "too short"),
        ([(3, 4), (1, 1)], "too short"),
        ([(3, 3)], "not as long"),
        ([(1, 11)], "not as long"),
    ],
)
def test_planes_of_another_size_than_the_header_says_are_damage(noise_picture, shapes, message):
    data = compress_planes([noise_picture(3, 4)])
    with pytest.raises(DamagedFileError, match=f"its alpha is {message}"):
        decompress_planes(data, shapes)


def cut_off(data):
    return data[:-1]


def without_its_end(data):
    return data[:-5]


def with_a_byte_more(data):
    return data + b"\0"


def twice(data):
    return data + data


def with_another_checksum(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def with_another_header(data):
    return b"\xff" + data[1:]


def only_its_header(data):
    return data[:2]


DAMAGE = pytest.mark.parametrize(
    "damaged",
    [cut_off, without_its_end, with_a_byte_more, twice, with_another_checksum, with_another_header, only_its_header],
)


@DAMAGE
def test_damaged_planes_are_noticed(noise_picture, damaged):
    data = compress_planes([noise_picture(3, 4)])
    with pytest.raises(DamagedFileError, match="its alpha"):
        decompress_planes(damaged(data), [(3, 4)])


@DAMAGE
def test_a_damaged_profile_is_noticed(damaged):
    with pytest.raises(DamagedFileError, match="its ICC profile"):
        decompress_profile(damaged(compress_profile(bytes(range(200)))))


@given(st.binary(min_size=1, max_size=30))
def test_bytes_that_are_not_compressed_are_damage(noise):
    for data in (noise, b"\x78\xda" + noise):
        with pytest.raises(DamagedFileError):
            decompress_planes(data, [(7, 1000)])


@given(st.binary(max_size=300))
def test_a_profile_comes_back_the_same(profile):
    assert decompress_profile(compress_profile(profile)) == profile


def test_a_profile_has_at_most_4_mib():
    assert MAX_PROFILE_BYTES == 4 * 1024**2
    assert decompress_profile(compress_profile(bytes(MAX_PROFILE_BYTES))) == bytes(MAX_PROFILE_BYTES)
    with pytest.raises(DamagedFileError, match="ICC profile is not as long as stated"):
        decompress_profile(compress_profile(bytes(MAX_PROFILE_BYTES + 1)))


def test_planes_that_grow_without_end_take_no_more_memory_than_they_say(peak_memory):
    bomb = zlib.compress(bytes(1 << 26), 9)
    assert peak_memory(decompress_planes, bomb, [(100, 100)]) < 1 << 18


def test_a_profile_that_grows_without_end_takes_little_memory(peak_memory):
    bomb = zlib.compress(bytes(1 << 26), 9)
    assert peak_memory(decompress_profile, bomb) < 4 * MAX_PROFILE_BYTES


def test_planes_that_are_much_shorter_than_said_take_no_memory(peak_memory):
    assert peak_memory(decompress_planes, zlib.compress(bytes(100)), [(10**5, 10**5)]) < 1 << 18
