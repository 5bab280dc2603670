"""The report of an evaluation: these files in a folder.

images.csv         a row for each file: one picture, encoded by one codec at one setting
summary.csv        the means over pictures
bd.csv             Bjøntegaard deltas between all curves
evaluation.json    the inputs: models, pictures, settings, versions
plots/             a plot of each metric, and of the channels of each model
report.html        all of this in one page, which a browser opens from disk
parts/             the measurements of single pictures, with which a stopped evaluation continues
"""

import json
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from omega_core.errors import OutputError
from omega_core.file_io import write_whole
from omega_train.evaluation.curves import RATES, Curve, curves, differences
from omega_train.evaluation.measurements import Measurement, Point, summarize, too_small, write_table
from omega_train.evaluation.quality import DEFAULT_METRICS, METRICS, MIN_SIDE

FILES = ("images.csv", "summary.csv", "bd.csv", "evaluation.json", "report.html")
PARTS = "parts"
"""The folder of the measurements of single pictures, with which a stopped evaluation continues."""


def claim(folder: Path, made_with: Mapping[str, Any], *, overwrite: bool) -> None:
    """Claim a folder for the report of an evaluation by writing its evaluation.json.

    folder: the folder, which is created if it does not exist.
    made_with: the content of evaluation.json, which distinguishes this evaluation from another one.
    overwrite: whether to replace the report of another evaluation, and other files with the names of a report.

    Raises OutputError if such files exist and `overwrite` is false, or if the folder cannot be written.
    """
    path, text = folder / "evaluation.json", _json(made_with)
    try:
        (folder / PARTS).mkdir(parents=True, exist_ok=True)
        with FileLock(folder / PARTS / ".lock"):
            there = [folder / name for name in FILES if (folder / name).exists()]
            if there and _settings(path) != _settings_of(json.loads(text)):
                if not overwrite:
                    names = ", ".join(each.name for each in there)
                    raise OutputError(
                        f"{folder} already holds {names} from another evaluation: name another --output, or replace"
                        " them with --overwrite."
                    )
                for each in (*there, *(folder / "plots").glob("*.svg"), *(folder / "plots").glob("*.png")):
                    each.unlink()
            write_whole(path, text)
    except OSError as problem:
        raise OutputError(f"cannot write into {folder}: {problem.strerror or problem}.") from problem


def _settings(path: Path) -> dict[str, Any]:
    """The settings in an evaluation.json that distinguish its evaluation; empty for other files."""
    try:
        return _settings_of(json.loads(path.read_bytes()))
    except (OSError, ValueError):
        return {}


def _settings_of(made_with: Any) -> dict[str, Any]:
    if not isinstance(made_with, dict):
        return {}
    names = ("models", "codecs", "channels", "metrics", "images", "versions")
    # older reports do not contain the effort; all had effort 0
    return {name: made_with.get(name) for name in names} | {"effort": made_with.get("effort", 0)}


def _json(content: Mapping[str, Any]) -> bytes:
    """JSON text, with escaped surrogates for the parts of names that are not UTF-8."""
    text = json.dumps(dict(content), indent=2, ensure_ascii=False, default=str)
    return f"{text}\n".encode("utf-8", "backslashreplace")


def write_report(
    folder: Path,
    measurements: Sequence[Measurement],
    *,
    models: Sequence[str],
    published: Sequence[Point] = (),
    gallery: Sequence[Mapping[str, Any]] = (),
    made_with: Mapping[str, Any],
    rate: str = "file",
    metrics: Collection[str] = DEFAULT_METRICS,
    title: str = "Evaluation",
) -> list[str]:
    """Write the report.

    folder: the folder of the files. measurements: the measurements of all pictures and codecs.
    models: the names of the codecs that are models.
    published: published points, which are drawn and compared, but were not measured here.
    gallery: the pictures of the page (`omega_train.evaluation.gallery.gallery_picture`).
    made_with: the content of evaluation.json.
    rate: the kind of rate of plots and Bjøntegaard deltas, a key of RATES.
    metrics: the measured metrics.
    title: the title of the page.

    Returns remarks for the user about the parts that were left out. Raises OutputError.
    """
    points, remarks = summarize(measurements), list[str]()
    measured = {point.codec for point in points}
    published = [
        replace(point, codec=f"{point.codec} (published)") if point.codec in measured else point for point in published
    ]
    write_table(folder / "images.csv", measurements)
    write_table(folder / "summary.csv", points)
    text = _json(made_with)
    write_whole(folder / "evaluation.json", text)
    for metric in too_small(points, metrics):
        side = MIN_SIDE[metric]
        remarks.append(f"{metric} is left out: all pictures have to be at least {side} pixels high and wide.")
    found = {
        metric: [*curves(points, metric, rate), *curves(published, metric, rate, published=True)]
        for metric in METRICS
        if metric in metrics
    }
    compared = []
    if find_spec("bjontegaard") is None:
        remarks.append("BD-rates are left out: they need the extra `evaluation` of omega-train.")
    else:
        compared = [each for some in found.values() for each in differences(some, rate)]
        if compared:
            write_table(folder / "bd.csv", compared)
        else:
            (folder / "bd.csv").unlink(missing_ok=True)  # left by a report with more curves
    if find_spec("matplotlib") is None:
        remarks.append("plots are left out: they need the extra `evaluation` of omega-train.")
    else:
        _draw(folder / "plots", found, [point for point in points if point.codec in models], rate)
    page = {
        "title": title,
        "rate": rate,
        "rates": RATES,
        "points": [asdict(point) for point in points],
        "published": [asdict(point) for point in published],
        "differences": [asdict(each) for each in compared],
        "gallery": list(gallery),
        "remarks": remarks,
        "made_with": json.loads(text),
    }
    write_whole(folder / "report.html", _page(page).encode("utf-8", "backslashreplace"))
    return remarks


def _draw(folder: Path, found: Mapping[str, Sequence[Curve]], points: Sequence[Point], rate: str) -> None:
    from omega_train.evaluation import plots

    for metric, some in found.items():
        if any(not curve.published for curve in some):
            plots.rate_distortion(some, folder / metric, rate=rate)
    for codec in dict.fromkeys(point.codec for point in points):
        mine = [point for point in points if point.codec == codec]
        if len(mine) > 1:
            plots.channels(mine, folder / f"channels-{codec.replace('/', '-')}", title=codec)


def _page(page: Mapping[str, Any]) -> str:
    """The page with its data: non-finite numbers become null, and < is escaped, so that no text ends the script."""
    template = files("omega_train.evaluation").joinpath("report.html").read_text("utf-8")
    text = json.dumps(_finite(page), ensure_ascii=False).replace("<", "\\u003c")
    return template.replace("/*DATA*/null", text)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, (list, tuple)) else value
