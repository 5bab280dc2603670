from dataclasses import replace

import pytest

from omega_core.errors import DamagedFileError, RateError
from omega_core.format.cuts import divide
from omega_core.format.file import OmegaFile
from omega_core.format.header import Header
from omega_core.format.rate_control import Rate, largest_within, truncate


@pytest.fixture
def file():
    groups, stream = divide(bytes(range(200)), {2: 10, 4: 40, 6: 90, 7: 200}, 2)
    header = Header(fingerprint=b"abcd", coder="omega-entropy/range", mode="L", sizes=((20, 30),), groups=groups)
    return OmegaFile(header, stream)


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


def test_every_budget_is_met_with_the_largest_cut_that_fits(file):
    sizes = file.file_sizes
    assert list(sizes) == [2, 4, 6, 7]
    for budget in range(1, 260):
        fitting = [channels for channels in file.header.cuts if len(file.truncated(channels).to_bytes()) <= budget]
        if fitting:
            assert largest_within(file, budget) == max(fitting)
            assert len(truncate(file.to_bytes(), max_bytes=budget)) == sizes[max(fitting)] <= budget
        else:
            with pytest.raises(RateError) as caught:
                truncate(file.to_bytes(), max_bytes=budget)
            assert caught.value.least_bytes == sizes[2]


def test_truncating_takes_the_nearest_cut_below(file):
    data = file.to_bytes()
    for asked, taken in ((2, 2), (3, 2), (5, 4), (6, 6), (7, 7), (99, 7)):
        assert truncate(data, channels=asked) == file.truncated(taken).to_bytes()
    with pytest.raises(RateError) as caught:
        truncate(data, channels=1)
    assert caught.value.channels == [2, 4, 6, 7]


def test_truncating_twice_is_truncating_once(file):
    data = file.to_bytes()
    assert truncate(truncate(data, channels=6), channels=4) == truncate(data, channels=4)


def test_truncating_keeps_all_fields(file):
    fields = {"tile": 64, "alpha": b"\xaa", "sizes": ((20, 30),) * 2, "profile": b"\xbb", "unknown": {200: b"\xcc"}}
    header = replace(file.header, mode="RGBA", **fields)
    data = OmegaFile(header, file.stream).to_bytes()
    short = OmegaFile.parse(truncate(data, channels=4))
    assert short.header == replace(header, groups=header.groups.truncated(4))
    assert truncate(data, max_bytes=len(short.to_bytes())) == short.to_bytes()


@pytest.mark.parametrize("channels", [0, -1])
def test_truncating_to_nothing_is_refused(file, channels):
    with pytest.raises(RateError) as caught:
        truncate(file.to_bytes(), channels=channels)
    assert caught.value.channels == [2, 4, 6, 7]


def test_truncating_needs_one_limit_and_a_whole_file(file):
    data = file.to_bytes()
    for limits in ({}, {"channels": 2, "max_bytes": 90}):
        with pytest.raises(RateError, match="one of them"):
            truncate(data, **limits)
    with pytest.raises(DamagedFileError):
        truncate(data[:-1] + bytes([data[-1] ^ 1]), channels=2)
    assert OmegaFile.parse(truncate(data, channels=2)).channels == 2
