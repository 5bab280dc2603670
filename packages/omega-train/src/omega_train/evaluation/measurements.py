"""Rate and distortion of pictures decoded from files.

picture ─encode once→ a file for each number of channels ─decode→ Measurement ─mean over pictures→ Point of a curve
"""

import csv
import io
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from omega_core.codec.model import Model
from omega_core.contracts.codec import BaselineCodec
from omega_core.errors import ImageError
from omega_core.file_io import write_whole
from omega_core.format.rate_control import Rate
from omega_core.images.pictures import Picture, Pixels
from omega_train.evaluation.quality import DEFAULT_METRICS, METRICS, qualities

EXACT = 100.0
"""The value in dB of an exactly decoded picture in the mean of a metric; it exceeds the value of any other picture."""


@dataclass(frozen=True)
class Measurement:
    """The measurement of one picture in one file.

    image: the name of the picture. codec: the name of a model or of a baseline codec.
    setting: the number of channels or, for a baseline codec, one of its settings, such as a quality.
    bytes: the size of the file. stream_bytes: the size of its entropy-coded stream; `bytes` for a baseline codec.
    bpp, stream_bpp: the same in bits per pixel.
    estimated_bpp: −Σ log2 p of the symbols, in bits per pixel; None for a baseline codec or an effort above 0.
    psnr: in dB, over all colors. ssim, ms_ssim, psnr_hvs_m, ssimulacra2: None if not requested, or if the picture is
        too small.
    """

    image: str
    codec: str
    setting: int
    bytes: int
    stream_bytes: int
    estimated_bpp: float | None
    stream_bpp: float
    bpp: float
    psnr: float
    ssim: float | None = None
    ms_ssim: float | None = None
    psnr_hvs_m: float | None = None
    ssimulacra2: float | None = None


@dataclass(frozen=True)
class Point:
    """The means over all pictures of a codec at a setting. A metric is None unless all pictures have it."""

    codec: str
    setting: int
    images: int
    estimated_bpp: float | None
    stream_bpp: float
    bpp: float
    psnr: float
    ssim: float | None = None
    ms_ssim: float | None = None
    psnr_hvs_m: float | None = None
    ssimulacra2: float | None = None


@dataclass(frozen=True)
class Decoded:
    """A file, and the pixels decoded from it. setting, stream_bytes, estimated_bits: see `Measurement`."""

    setting: int
    data: bytes
    pixels: Pixels
    stream_bytes: int
    estimated_bits: float | None = None


def through_model(
    model: Model, pixels: Pixels, channels: Sequence[int] = (), *, coder: str | None = None, effort: int = 0
) -> Iterator[Decoded]:
    """Encode a picture with a model, and decode its file truncated to each number of channels.

    model: the model. pixels: (colors, H, W), uint8.
    channels: the numbers of channels; `Model.channel_counts` if empty. The picture is encoded once for all of them.
    coder: the name of a coder other than the model's.
    effort: see `Model.encode_at_rate`. Above 0, the picture is encoded for each number: a search is for one rate.

    Raises ImageError for an invalid picture, RateError for a number of channels or an effort that the model does not
    have, CoderError for an invalid coder.
    """
    counts = sorted(channels) or model.channel_counts
    if effort:
        for n in counts:
            file = model.encode_at_rate(Picture(pixels), Rate(channels=n), coder=coder, effort=effort)
            data = file.to_bytes()
            yield Decoded(n, data, model.decompress_picture(data).pixels, file.stream_bytes)
        return
    encoded = model.encode(Picture(pixels), coder=coder, counts=counts)
    bits = np.concatenate([[0.0], encoded.coded.bits_until()])
    lengths = [encoded.lengths[n] for n in counts]
    pictures = model.decompress_prefixes(encoded.whole.to_bytes(), lengths)
    for n, length, picture in zip(counts, lengths, pictures, strict=True):
        estimated = float(bits[encoded.coded.end_of(n)])
        yield Decoded(n, encoded.file(n), picture.pixels, length, estimated)


def through_codec(codec: BaselineCodec, pixels: Pixels) -> Iterator[Decoded]:
    """Encode a picture with a baseline codec at all its settings, and decode the files. Raises ImageError."""
    for setting in codec.settings:
        data = codec.encode(pixels.copy(), setting)  # a codec may work in place, and other codecs need the original
        yield Decoded(setting, data, codec.decode(data, len(pixels)), len(data))


def measure(
    codec: str, image: str, pixels: Pixels, decoded: Sequence[Decoded], metrics: Collection[str] = DEFAULT_METRICS
) -> list[Measurement]:
    """Measure rate and quality of the decoded files of a picture.

    codec, image: names for the result. pixels: the original (colors, H, W), uint8. decoded: the files.
    metrics: see `omega_train.evaluation.quality.qualities`.

    Raises ImageError if the shape or dtype of a decoded picture differs from the original.
    """
    for each in decoded:
        if (each.pixels.shape, each.pixels.dtype) != (pixels.shape, pixels.dtype):
            found = f"of shape {each.pixels.shape} and {each.pixels.dtype}"
            raise ImageError(f"{codec} returned a picture {found} for {pixels.shape} and {pixels.dtype}.")
    per_pixel = 1 / pixels[0].size
    return [
        Measurement(
            image=image,
            codec=codec,
            setting=each.setting,
            bytes=len(each.data),
            stream_bytes=each.stream_bytes,
            estimated_bpp=None if each.estimated_bits is None else each.estimated_bits * per_pixel,
            stream_bpp=8 * each.stream_bytes * per_pixel,
            bpp=8 * len(each.data) * per_pixel,
            **asdict(quality),
        )
        for each, quality in zip(decoded, qualities(pixels, [each.pixels for each in decoded], metrics), strict=True)
    ]


def summarize(measurements: Iterable[Measurement]) -> list[Point]:
    """The means over pictures for each codec and setting, in the order of their first measurements.

    Metrics in dB are infinite for pictures that are decoded exactly, such as white ones. In a mean with finite values,
    they count as EXACT dB, so that the mean is finite.
    """
    groups: dict[tuple[str, int], list[Measurement]] = {}
    for each in measurements:
        groups.setdefault((each.codec, each.setting), []).append(each)

    def means(group: list[Measurement]) -> dict[str, Any]:
        names = [entry.name for entry in fields(Point) if entry.name not in ("codec", "setting", "images")]
        columns = {name: [getattr(each, name) for each in group] for name in names}
        return {name: None if None in column else _mean(column) for name, column in columns.items()}

    return [Point(codec, setting, len(group), **means(group)) for (codec, setting), group in groups.items()]


def _mean(values: Sequence[float]) -> float:
    """The mean of numbers; infinite ones count as EXACT unless all are infinite."""
    if all(map(math.isinf, values)):
        return values[0]
    return fmean(EXACT if math.isinf(value) else value for value in values)


def write_table(path: Path, rows: Sequence[Any]) -> None:
    """Write instances of one dataclass as CSV, with a column for each field. Raises OutputError.

    None becomes an empty field. Surrogates, which stand for parts of names that are not UTF-8, are escaped.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([entry.name for entry in fields(rows[0])])
    for row in rows:
        writer.writerow(f"{value:.6g}" if isinstance(value, float) else value for value in asdict(row).values())
    write_whole(path, text.getvalue().encode("utf-8", "backslashreplace"))


def read_measurements(path: Path) -> list[Measurement]:
    """Read measurements written by `write_table`. Raises ValueError or KeyError for other files."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Measurement(**{entry.name: _value(entry, row[entry.name]) for entry in fields(Measurement)})
            for row in csv.DictReader(file)
        ]


def _value(entry: Any, text: str | None) -> Any:
    if text is None:
        raise ValueError("a row is too short")
    if entry.type is str:
        return text
    if entry.type is int:
        return int(text)
    return None if text == "" else float(text)


def too_small(points: Iterable[Point], metrics: Collection[str]) -> list[str]:
    """Return the metrics that some point lacks because pictures are too small for them."""
    missing = {metric for point in points for metric in metrics if getattr(point, metric) is None}
    return [metric for metric in METRICS if metric in missing]
