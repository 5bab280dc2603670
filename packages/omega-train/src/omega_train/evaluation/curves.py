"""Rate-distortion curves, measured and published, and Bjøntegaard deltas between them (VCEG-M33, 2001).

The deltas need the optional package `bjontegaard`.
"""

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from omega_train.evaluation.measurements import Point

RATES = {"file": "bpp", "stream": "stream_bpp", "estimated": "estimated_bpp"}
"""The column of each kind of rate: whole files, their entropy-coded streams, or estimates from probability tables."""
METHODS = ("pchip", "akima")
MIN_POINTS = 4
"""The minimum number of points of a curve that can be interpolated."""


@dataclass(frozen=True)
class Curve:
    """One metric of a codec over the rate.

    name: the name of the codec. metric: one of METRICS. rates: bpp, ascending. values: the metric at each rate.
    published: whether the points were published, rather than measured here.
    """

    name: str
    metric: str
    rates: tuple[float, ...]
    values: tuple[float, ...]
    published: bool = False

    def front(self) -> "Curve":
        """The Pareto front: the points whose value no other point reaches at the same or a lower rate."""
        rates, values = list[float](), list[float]()
        for rate, value in zip(self.rates, self.values, strict=True):
            if not values or value > values[-1]:
                if rates and rate == rates[-1]:
                    rates.pop(), values.pop()
                rates.append(rate)
                values.append(value)
        return Curve(self.name, self.metric, tuple(rates), tuple(values), self.published)


def curves(points: Iterable[Point], metric: str, rate: str = "file", *, published: bool = False) -> list[Curve]:
    """The curves of a metric, one for each codec; points without finite numbers are left out.

    points: the points of all codecs. metric: one of METRICS. rate: a key of RATES. published: see `Curve`.
    """
    groups: dict[str, list[tuple[float, float]]] = {}
    for point in points:
        pair = getattr(point, RATES[rate]), getattr(point, metric)
        if rate == "estimated" and pair[0] is None:
            pair = point.bpp, pair[1]  # baseline codecs have no estimated rate
        if all(number is not None and math.isfinite(number) for number in pair):  # equal pictures have no finite PSNR
            groups.setdefault(point.codec, []).append(pair)
    return [
        Curve(name, metric, tuple(rate for rate, _ in group), tuple(value for _, value in group), published)
        for name, group in ((name, sorted(group)) for name, group in groups.items())
    ]


@dataclass(frozen=True)
class Difference:
    """Bjøntegaard deltas of a codec's curve relative to an anchor's, between the Pareto fronts of both.

    bd_rate: the additional rate of `codec` at equal quality, in percent.
    bd_psnr: the difference of the metric at equal rate, in dB or in the unit of the metric.
    overlap: the share of the anchor's range of quality that both cover, in percent.
    reason: the reason if bd_rate and bd_psnr are None; otherwise "".
    """

    codec: str
    anchor: str
    metric: str
    rate: str
    method: str
    bd_rate: float | None
    bd_psnr: float | None
    overlap: float
    reason: str = ""


def difference(curve: Curve, anchor: Curve, rate: str, method: str) -> Difference:
    """Bjøntegaard deltas of a curve relative to an anchor, interpolated by `method` over log rate.

    rate: the kind of rate, for the result. Raises ModuleNotFoundError without the package `bjontegaard`.
    """
    import bjontegaard

    ours, theirs = curve.front(), anchor.front()
    overlap = _overlap(ours, theirs)
    reason = ""
    if min(len(ours.rates), len(theirs.rates)) < MIN_POINTS:
        reason = f"fewer than {MIN_POINTS} points"
    elif overlap <= 0:
        reason = "no overlap"
    found: list[float | None] = [None, None]
    if not reason:
        given = theirs.rates, theirs.values, ours.rates, ours.values
        options = {"method": method, "require_matching_points": False, "min_overlap": 0.0}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the result contains the overlap
            try:
                found = [float(bjontegaard.bd_rate(*given, **options)), float(bjontegaard.bd_psnr(*given, **options))]
            except ValueError as problem:
                reason = f"not interpolated: {problem}"
    return Difference(curve.name, anchor.name, curve.metric, rate, method, found[0], found[1], overlap, reason)


def _overlap(ours: Curve, theirs: Curve) -> float:
    if not ours.values or not theirs.values:
        return 0.0
    low, high = max(ours.values[0], theirs.values[0]), min(ours.values[-1], theirs.values[-1])
    return 100 * max(0.0, high - low) / max(theirs.values[-1] - theirs.values[0], 1e-12)


def differences(found: Sequence[Curve], rate: str) -> list[Difference]:
    """The deltas of each measured curve relative to every other curve, by both methods. rate: the kind of rate."""
    return [
        difference(curve, anchor, rate, method)
        for curve in found
        for anchor in found
        if curve is not anchor and not curve.published
        for method in METHODS
    ]
