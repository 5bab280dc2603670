"""Published points of other codecs, read from the files that their authors publish.

*.csv    a header and a row for each point
*.csv    rows of rate and metric below comments (#), the format of TensorFlow Compression
*.json   {"name": …, "results": {"bpp": […], "psnr-rgb": […], …}}, the format of CompressAI; also without the outer
         object, or as a list of objects with one point each
"""

import csv
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from omega_core.errors import OmegaError
from omega_train.evaluation.curves import RATES
from omega_train.evaluation.measurements import Point
from omega_train.evaluation.quality import METRICS

_ALIASES = {
    "psnr_db": "psnr",
    "psnr_rgb": "psnr",
    "ssim_rgb": "ssim",
    "ms_ssim_rgb": "ms_ssim",
    "msssim": "ms_ssim",
    "bpp_real": "stream_bpp",
    "bpp_estimated": "estimated_bpp",
    "rate": "bpp",
}
_NUMBERS = {*RATES.values(), *METRICS, "setting", "channels", "quality", "images"}

_MOST = 1000.0
"""The maximum rate, and the maximum magnitude of a metric, of a valid point."""

Row = Mapping[str, Any]


def read_overlay(path: Path) -> list[Point]:
    """Read published points.

    path: a CSV or JSON file. Its columns: `bpp`, `stream_bpp` (or `bpp_real`) or `estimated_bpp` (or `bpp_estimated`),
        at least one; `psnr` (or `psnr_db`, `psnr-rgb`; in dB), `ssim` or `ms_ssim` (or `ms-ssim-rgb`), at least one;
        `codec` or any other columns, whose values distinguish and name the curves. A similarity s above 1 is in dB:
        s = −10·log₁₀(1 − SSIM).

    Raises OmegaError if the file has another format.
    """
    try:
        text = path.read_text("utf-8-sig")
        name, rows = _of_json(path, text) if text.lstrip()[:1] in ("{", "[") else (path.stem, _of_csv(text))
        rows = [{_column(key): value for key, value in row.items()} for row in rows]
        columns = set(rows[0]) if rows else set()
        if not columns & set(RATES.values()) or not columns & set(METRICS):
            raise OmegaError(f"{path} needs a column of {', '.join(RATES.values())}, and one of {', '.join(METRICS)}.")
        telling = [key for key in rows[0] if key not in _NUMBERS and len({str(row.get(key)) for row in rows}) > 1]
        return [_point(name, row, telling) for row in rows]
    except (OSError, ValueError, OverflowError, TypeError, AttributeError, RecursionError, csv.Error) as problem:
        raise OmegaError(f"{path} cannot be read as published points: {problem}.") from problem


def _column(key: str) -> str:
    name = str(key).strip().lower().replace("-", "_")
    return _ALIASES.get(name, name)


def _of_csv(text: str) -> Sequence[Row]:
    comments = [line for line in text.splitlines() if line.startswith("#")]
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if lines and all(_is_number(part) for part in lines[0].split(",")):
        metric = "ms_ssim" if re.search("second column.*ssim", " ".join(comments).lower()) else "psnr"
        return list(csv.DictReader(["bpp," + metric, *lines]))
    return list(csv.DictReader(lines))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _of_json(path: Path, text: str) -> tuple[str, Sequence[Row]]:
    """The name of the codec, and the points."""
    content = json.loads(text)
    if isinstance(content, list):
        return path.stem, content
    results = content.get("results", content)
    if isinstance(results, list):
        return str(content.get("name") or path.stem), results
    columns = {name: values for name, values in results.items() if isinstance(values, list)}
    lengths = {len(values) for values in columns.values()}
    if len(lengths) != 1:
        raise ValueError("its results are not lists of the same length")
    # other columns, such as times, are dropped
    known = {name: values for name, values in columns.items() if _column(name) in _NUMBERS}
    rows = [{name: values[i] for name, values in known.items()} for i in range(lengths.pop())]
    return str(content.get("name") or path.stem), rows


def _point(name: str, row: Row, telling: Sequence[str]) -> Point:
    def number(column: str) -> float | None:
        return float(row[column]) if row.get(column) not in (None, "") else None

    def similarity(column: str) -> float | None:
        found = number(column)
        return found if found is None or found <= 1 else 1 - 10 ** (-found / 10)

    known = [number(column) for column in RATES.values()]
    bpp = next((rate for rate in known if rate is not None), None)
    if bpp is None:
        raise ValueError("a point has no rate")
    for column in (*RATES.values(), *METRICS):
        found = number(column)
        least = -_MOST if column in METRICS else math.ulp(0)
        if found is not None and math.isfinite(found) and not least <= found <= _MOST:
            raise ValueError(f"the {column} of a point is {found:g}")
    if missing := [column for column in telling if column not in row]:
        raise ValueError(f"a point has no {missing[0]}, which distinguishes the others")
    decibels = number("psnr")
    text = ", ".join(str(row[column]) if column == "codec" else f"{column} {row[column]}" for column in telling)
    return Point(
        codec=text or str(row.get("codec") or name),
        setting=int(float(row.get("setting") or row.get("channels") or row.get("quality") or 0)),
        images=int(float(row.get("images") or 0)),
        estimated_bpp=number("estimated_bpp"),
        stream_bpp=number("stream_bpp") or bpp,
        bpp=bpp,
        psnr=math.nan if decibels is None else decibels,
        ssim=similarity("ssim"),
        ms_ssim=similarity("ms_ssim"),
        psnr_hvs_m=number("psnr_hvs_m"),
        ssimulacra2=number("ssimulacra2"),
    )
