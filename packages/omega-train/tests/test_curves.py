"""Curves, published ones, and how far one lies from another."""

import numpy as np
import pytest

from omega_train.evaluation.curves import Curve, curves, difference, differences
from omega_train.evaluation.measurements import Point

bjontegaard = pytest.importorskip("bjontegaard", reason="needs the extra evaluation")

RATES, DECIBELS = (85.95, 157.11, 309.58, 686.76), (31.42, 34.24, 37.18, 40.28)
OTHER_RATES, OTHER_DECIBELS = (112.75, 204.93, 407.8, 893.34), (31.24, 34.17, 37.21, 40.39)
"""An example that implementations of Bjøntegaard's measure have been handing on since VCEG-M33."""


def curve(name: str, rates: tuple[float, ...], values: tuple[float, ...]) -> Curve:
    return Curve(name, "psnr", rates, values)


def test_only_what_nothing_is_better_than_at_less_rate_counts() -> None:
    front = curve("a", (1, 2, 2, 3, 4, 5), (10, 12, 13, 12, 14, 14)).front()
    assert (front.rates, front.values) == ((1, 2, 4), (10, 13, 14))


@pytest.mark.parametrize("method", ["pchip", "akima"])
def test_a_fifth_less_rate_is_minus_20_per_cent(method: str) -> None:
    anchor = curve("anchor", RATES, DECIBELS)
    better = curve("better", tuple(0.8 * rate for rate in RATES), DECIBELS)
    found = difference(better, anchor, "file", method)
    assert found.bd_rate == pytest.approx(-20, abs=1e-6)
    assert found.bd_psnr is not None
    assert found.bd_psnr > 0
    assert found.overlap == pytest.approx(100)
    assert difference(anchor, better, "file", method).bd_rate == pytest.approx(25, abs=1e-6)


def test_half_a_decibel_more_is_half_a_decibel() -> None:
    anchor = curve("anchor", RATES, DECIBELS)
    better = curve("better", RATES, tuple(value + 0.5 for value in DECIBELS))
    assert difference(better, anchor, "file", "pchip").bd_psnr == pytest.approx(0.5, abs=1e-6)


def test_it_is_the_mean_of_the_logarithms_of_rates_as_the_excel_sheet_of_jct_vc_has_it() -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    anchor, test = curve("anchor", RATES, DECIBELS), curve("test", OTHER_RATES, OTHER_DECIBELS)
    low, high = max(DECIBELS[0], OTHER_DECIBELS[0]), min(DECIBELS[-1], OTHER_DECIBELS[-1])
    means = [
        interpolate.PchipInterpolator(values, np.log10(rates)).integrate(low, high) / (high - low)
        for rates, values in ((RATES, DECIBELS), (OTHER_RATES, OTHER_DECIBELS))
    ]
    expected = 100 * (10 ** (means[1] - means[0]) - 1)
    found = difference(test, anchor, "file", "pchip")
    assert found.bd_rate == pytest.approx(expected, abs=1e-3)
    assert 30 < expected < 35
    assert found.overlap == pytest.approx(100 * (high - low) / (DECIBELS[-1] - DECIBELS[0]))


@pytest.mark.parametrize(
    ("rates", "values", "reason"),
    [(RATES[:3], DECIBELS[:3], "fewer than 4 points"), (RATES, tuple(v + 20 for v in DECIBELS), "no overlap")],
)
def test_where_there_is_no_such_number_a_reason_stands(
    rates: tuple[float, ...], values: tuple[float, ...], reason: str
) -> None:
    found = difference(curve("a", rates, values), curve("b", RATES, DECIBELS), "file", "pchip")
    assert (found.bd_rate, found.bd_psnr, found.reason) == (None, None, reason)


def test_curves_that_cannot_be_interpolated_have_a_reason() -> None:
    found = difference(curve("a", (0.0, *RATES[1:]), DECIBELS), curve("b", RATES, DECIBELS), "file", "pchip")
    assert found.bd_rate is None
    assert found.reason.startswith("not interpolated: ")


def test_published_curves_are_anchors_only() -> None:
    ours = curve("ours", RATES, DECIBELS)
    theirs = Curve("theirs", "psnr", OTHER_RATES, OTHER_DECIBELS, published=True)
    assert {(each.codec, each.anchor) for each in differences([ours, theirs], "file")} == {("ours", "theirs")}


def test_points_without_a_finite_number_are_left_out() -> None:
    def point(setting: int, decibels: float, ssim: float | None) -> Point:
        return Point("a", setting, 1, None, setting / 2, float(setting), decibels, ssim, None)

    points = [point(2, 30.0, None), point(1, 20.0, 0.5), point(3, float("inf"), 1.0)]
    [found] = curves(points, "psnr")
    assert (found.rates, found.values) == ((1.0, 2.0), (20.0, 30.0))
    assert curves(points, "psnr", "stream")[0].rates == (0.5, 1.0)
    assert curves(points, "ssim")[0].rates == (1.0, 3.0)
    assert curves(points, "ms_ssim") == []
