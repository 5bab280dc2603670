from dataclasses import replace

import pytest
from file_samples import any_files
from hypothesis import given
from hypothesis import strategies as st

from omega_core.errors import DamagedFileError, RateError
from omega_core.format.file import OmegaFile
from omega_core.format.header import Header
from omega_core.format.rate_control import Rate, length_within, truncate


@pytest.fixture
def file():
    header = Header(fingerprint=b"abcd", coder="omega-entropy/range", mode="L", sizes=((20, 30),), length=300)
    return OmegaFile(header, bytes(range(200)) + bytes(100))


@pytest.mark.parametrize(
    "settings",
    [
        {"channels": 3, "bpp": 1.0},
        {"fraction": 0.0},
        {"fraction": 1.01},
        {"bpp": -1.0},
        {"bpp": float("nan")},
        {"max_bytes": 0},
        {"psnr": float("inf")},
        {"channels": 2.5},
        {"channels": "2"},
        {"bpp": "0.5"},
    ],
)
def test_a_rate_that_cannot_be_is_refused(settings):
    with pytest.raises(RateError):
        Rate(**settings)


@pytest.mark.parametrize(
    ("fraction", "channels"), [(0.001, 1), (241 / 480, 241), (243 / 480, 243), (0.5, 240), (1, 480)]
)
def test_a_fraction_becomes_a_whole_number_of_channels_once(fraction, channels):
    assert Rate(fraction=fraction).whole_channels(480) == channels


def test_without_a_rate_all_channels_are_kept_and_a_budget_names_none():
    assert Rate().whole_channels(7) == 7
    assert Rate(channels=3).whole_channels(7) == 3
    assert Rate(max_bytes=9).whole_channels(7) is None
    assert (Rate(max_bytes=9).budget(600), Rate(bpp=1.0).budget(600), Rate().budget(600)) == (9, 75, None)


@pytest.mark.parametrize(("bpp", "pixels", "budget"), [(1.0, 7, 0), (1.0, 8, 1), (0.999, 800, 99), (24.0, 1, 3)])
def test_bits_per_pixel_are_whole_bytes_that_are_not_too_many(bpp, pixels, budget):
    assert Rate(bpp=bpp).budget(pixels) == budget


def test_bits_per_pixel_are_those_of_all_pictures_in_a_file(file):
    assert file.pixels == 600
    assert Rate(bpp=1.0).budget(replace(file.header, sizes=((20, 30),) * 5).pixels) == 375


def test_no_budget_is_exceeded_and_each_is_used_to_the_last_byte(file):
    """But for one: with 256 bytes of stream, the header has a byte more."""
    whole = file.to_bytes()
    for budget in range(1, len(whole) + 9):
        if budget < file.truncated_size(1):
            with pytest.raises(RateError) as caught:
                truncate(whole, max_bytes=budget)
            assert caught.value.least_bytes == file.truncated_size(1)
            continue
        found = truncate(whole, max_bytes=budget)
        unused = min(budget, len(whole)) - len(found)
        assert unused == (file.truncated_size(256) == budget + 1)
        assert OmegaFile.parse(found) == file.truncated(length_within(file, budget))
    assert truncate(whole, max_bytes=len(whole)) == whole


@given(any_files(), st.integers(0, 300))
def test_the_longest_stream_that_fits_is_taken(file, more):
    budget = file.truncated_size(1) + more
    length = length_within(file, budget)
    assert file.truncated_size(length) <= budget
    assert length == file.stream_bytes or file.truncated_size(length + 1) > budget


def test_bits_per_pixel_are_a_budget_too(file):
    assert truncate(file.to_bytes(), bpp=1.0) == truncate(file.to_bytes(), max_bytes=75)


@given(any_files(), st.integers(0, 300), st.integers(0, 300))
def test_truncating_twice_is_truncating_once(file, more, fewer):
    fewer, more = sorted((file.truncated_size(1) + fewer, file.truncated_size(1) + more))
    data = file.to_bytes()
    assert truncate(truncate(data, max_bytes=more), max_bytes=fewer) == truncate(data, max_bytes=fewer)


def test_truncating_keeps_all_fields(file):
    fields = {"tile": 64, "alpha": b"\xaa", "sizes": ((20, 30),) * 2, "profile": b"\xbb", "unknown": {200: b"\xcc"}}
    header = replace(file.header, mode="RGBA", **fields)
    short = OmegaFile.parse(truncate(OmegaFile(header, file.stream).to_bytes(), max_bytes=90))
    assert short.header == replace(header, length=len(short.stream), complete=False)
    assert short.stream == file.stream[: len(short.stream)]


@pytest.mark.parametrize("limits", [{}, {"max_bytes": 90, "bpp": 1.0}, {"max_bytes": 0}, {"bpp": -1.0}])
def test_truncating_needs_one_limit_above_0(file, limits):
    with pytest.raises(RateError):
        truncate(file.to_bytes(), **limits)


def test_a_damaged_file_is_not_truncated(file):
    data = file.to_bytes()
    with pytest.raises(DamagedFileError):
        truncate(data[:-1] + bytes([data[-1] ^ 1]), max_bytes=90)


def test_numbers_of_any_size_and_type_are_rates():
    numpy = pytest.importorskip("numpy")
    assert Rate(bpp=numpy.float16(0.5)).budget(1 << 24) == 1 << 20
    assert Rate(max_bytes=10**400).budget(1) == 10**400


def test_bits_per_pixel_may_be_more_than_any_file_has(file):
    whole = file.to_bytes()
    assert truncate(whole, bpp=1e308) == whole
