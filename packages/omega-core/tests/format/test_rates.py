from dataclasses import replace

import pytest

from omega_core.errors import DamagedFileError, RateError
from omega_core.format.file import Container, assemble, divide, parse, shorten
from omega_core.format.rates import Rate, file_sizes, largest_within, truncate


@pytest.fixture
def container():
    sizes, stream = divide(bytes(range(200)), [10, 40, 90, 200])
    return Container(
        fingerprint=b"abcd",
        coder="omega-entropy/range",
        mode="L",
        height=20,
        width=30,
        channels=7,
        group=2,
        sizes=sizes,
        stream=stream,
    )


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


def test_bits_per_pixel_are_those_of_all_pictures_in_a_file(container):
    assert container.pixels == 600
    assert replace(container, fields={3: b"\x05"}).pixels == 3000
    assert Rate(bpp=1.0).budget(replace(container, fields={3: b"\x05"}).pixels) == 375


def test_every_budget_is_met_with_the_largest_cut_that_fits(container):
    sizes = file_sizes(container)
    assert list(sizes) == [2, 4, 6, 7]
    for budget in range(1, 260):
        fitting = [channels for channels in container.cuts if len(assemble(shorten(container, channels))) <= budget]
        if fitting:
            assert largest_within(container, budget) == max(fitting)
            assert len(truncate(assemble(container), max_bytes=budget)) == sizes[max(fitting)] <= budget
        else:
            with pytest.raises(RateError, match=f"smallest cut, 2 channels, takes {sizes[2]}"):
                truncate(assemble(container), max_bytes=budget)


def test_truncating_takes_the_nearest_cut_below(container):
    data = assemble(container)
    for asked, taken in ((2, 2), (3, 2), (5, 4), (6, 6), (7, 7), (99, 7)):
        assert truncate(data, channels=asked) == assemble(shorten(container, taken))
    with pytest.raises(RateError, match="the smallest is at 2"):
        truncate(data, channels=1)


def test_truncating_twice_is_truncating_once(container):
    data = assemble(container)
    assert truncate(truncate(data, channels=6), channels=4) == truncate(data, channels=4)


def test_truncating_keeps_all_fields(container):
    fields = {1: b"\x40", 2: b"\xaa", 3: b"\x02", 132: b"\xbb", 200: b"\xcc"}
    data = assemble(replace(container, mode="RGBA", fields=fields))
    short = parse(truncate(data, channels=4))
    assert (short.fields, short.mode) == (fields, "RGBA")
    assert truncate(data, max_bytes=len(assemble(short))) == assemble(short)


@pytest.mark.parametrize("channels", [0, -1])
def test_truncating_to_nothing_is_refused(container, channels):
    with pytest.raises(RateError, match=f"no cut at {channels} channels or fewer: the smallest is at 2"):
        truncate(assemble(container), channels=channels)


def test_truncating_needs_one_limit_and_a_whole_file(container):
    data = assemble(container)
    for limits in ({}, {"channels": 2, "max_bytes": 90}):
        with pytest.raises(RateError, match="one of them"):
            truncate(data, **limits)
    with pytest.raises(DamagedFileError):
        truncate(data[:-1] + bytes([data[-1] ^ 1]), channels=2)
    assert parse(truncate(data, channels=2)).channels == 2
