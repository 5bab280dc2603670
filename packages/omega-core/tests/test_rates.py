import pytest

from omega_core.container import Container, divide, pack, shorten, unpack
from omega_core.errors import DamagedFileError, RateError
from omega_core.rates import Rate, file_sizes, largest_within, truncate


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
    assert (Rate(max_bytes=9).budget(20, 30), Rate(bpp=1.0).budget(20, 30), Rate().budget(20, 30)) == (9, 75, None)


def test_every_budget_is_met_with_the_largest_cut_that_fits(container):
    sizes = file_sizes(container)
    assert list(sizes) == [2, 4, 6, 7]
    for budget in range(1, 260):
        fitting = [channels for channels in container.cuts if len(pack(shorten(container, channels))) <= budget]
        if fitting:
            assert largest_within(container, budget) == max(fitting)
            assert len(truncate(pack(container), max_bytes=budget)) == sizes[max(fitting)] <= budget
        else:
            with pytest.raises(RateError, match=f"smallest cut, 2 channels, takes {sizes[2]}"):
                truncate(pack(container), max_bytes=budget)


def test_truncating_takes_the_nearest_cut_below(container):
    data = pack(container)
    for asked, taken in ((2, 2), (3, 2), (5, 4), (6, 6), (7, 7), (99, 7)):
        assert truncate(data, channels=asked) == pack(shorten(container, taken))
    with pytest.raises(RateError, match="the smallest is at 2"):
        truncate(data, channels=1)


def test_truncating_twice_is_truncating_once(container):
    data = pack(container)
    assert truncate(truncate(data, channels=6), channels=4) == truncate(data, channels=4)


def test_truncating_needs_one_limit_and_a_whole_file(container):
    data = pack(container)
    for limits in ({}, {"channels": 2, "max_bytes": 90}):
        with pytest.raises(RateError, match="one of them"):
            truncate(data, **limits)
    with pytest.raises(DamagedFileError):
        truncate(data[:-1] + bytes([data[-1] ^ 1]), channels=2)
    assert unpack(truncate(data, channels=2)).channels == 2
