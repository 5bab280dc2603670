"""Plots of curves as SVG and PNG; dashes and markers distinguish curves without color, labels at their ends name them.

Only this module imports matplotlib, an optional dependency.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from omega_core.file_io import replacing
from omega_train.evaluation.curves import Curve
from omega_train.evaluation.measurements import Point

LABELS = {
    "psnr": "PSNR in dB",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "psnr_hvs_m": "PSNR-HVS-M in dB",
    "ssimulacra2": "SSIMULACRA 2",
}
_LONGEST = 48  # maximum number of characters of a name
_STYLES = [
    {"color": color, "linestyle": dashes, "marker": mark}
    for color, dashes, mark in zip(
        ("#000000", "#0b62a4", "#b3470b", "#4d7a12", "#7a3b8f", "#666666", "#9a7b00", "#008080"),
        ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (6, 2, 1, 2))),
        "osD^vPX*",
        strict=True,
    )
]


def rate_distortion(curves: Sequence[Curve], path: Path, *, rate: str) -> None:
    """Plot one metric of several codecs over the rate.

    curves: at least one curve, all of one metric. path: the path of the files without the suffixes .svg and .png.
    rate: the kind of rate.

    Raises OutputError.
    """
    ours = 0
    ends: list[tuple[float, float, str]] = []
    with _saved_figure(path) as figure:
        axes: Any = figure.subplots()
        for curve in curves:
            if curve.published:
                style: dict[str, Any] = {"color": "#555555", "linestyle": "none", "marker": "+x1234"[len(ends) % 6]}
            else:
                style, ours = _STYLES[ours % len(_STYLES)], ours + 1
            axes.plot(curve.rates, curve.values, markersize=4, linewidth=1.2, label=_short(curve.name), **style)
            ends.append((curve.rates[-1], curve.values[-1], _short(curve.name)))
        _name(axes, ends)
        axes.set_xlabel(f"bits per pixel of the {rate}")
        axes.set_ylabel(LABELS[curves[0].metric])
        axes.grid(alpha=0.25)


def _name(axes: Any, ends: Sequence[tuple[float, float, str]]) -> None:
    """Write names to the right of the axes, level with the last points of curves but without overlap."""
    low, high = axes.get_ylim()
    step, at = (high - low) / 22, float("inf")
    for x, y, name in sorted(ends, key=lambda end: -end[1]):
        at = min(y, at - step)
        axes.annotate(
            name,
            (x, y),
            (1.02, at),
            textcoords=axes.get_yaxis_transform(),  # x as a share of the axes, y in data units
            fontsize=8,
            va="center",
            arrowprops={"arrowstyle": "-", "color": "#aaaaaa", "linewidth": 0.5},
        )


def channels(points: Sequence[Point], path: Path, *, title: str) -> None:
    """Plot the rate that each group of channels of a model adds, and the PSNR gain per bit. Raises OutputError."""
    ordered = sorted(points, key=lambda point: point.setting)
    counts = [point.setting for point in ordered]
    rates = [point.stream_bpp for point in ordered]
    added = [rate - before for rate, before in zip(rates, [0.0, *rates], strict=False)]
    gained = [
        (point.psnr - before.psnr) / max(point.stream_bpp - before.stream_bpp, 1e-9)
        for before, point in pairwise(ordered)
    ]
    width = 0.8 * min((b - a for a, b in pairwise(counts)), default=1)
    with _saved_figure(path) as figure:
        above, below = figure.subplots(2, sharex=True)
        above.bar(counts, added, width, color="#555555")
        above.set_ylabel("added bpp")
        below.bar(counts[1:], gained, width, color="#0b62a4")
        below.axhline(0, color="black", linewidth=0.6)
        below.set_ylabel("PSNR gain\nin dB per bpp")
        below.set_xlabel("channels")
        above.set_title(title)


def _short(name: str) -> str:
    """Shorten the middle of a long name: names made of paths differ at the end."""
    half = _LONGEST // 2
    return name if len(name) <= _LONGEST else f"{name[: half - 1]}…{name[-half:]}"


@contextmanager
def _saved_figure(path: Path) -> Iterator[Figure]:
    """Create a figure, and save it at the end. The caller's settings and backend of matplotlib stay as they are."""
    formats: tuple[tuple[str, dict[str, Any]], ...] = ((".svg", {"metadata": {"Date": None}}), (".png", {"dpi": 150}))
    # names of models may contain dollar signs; and the same numbers give the same file
    with mpl.rc_context({"text.parse_math": False, "svg.hashsalt": "omega"}):
        figure = Figure(figsize=(7.5, 5), layout="constrained")
        yield figure
        for ending, options in formats:
            with replacing(path.with_name(path.name + ending)) as temporary:
                figure.savefig(temporary, format=ending[1:], **options)
            figure.set_layout_engine("none")  # both formats have the layout of the first
