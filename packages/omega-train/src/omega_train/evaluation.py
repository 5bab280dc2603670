"""How good a model is: rate and distortion of pictures decoded from files, beside classical codecs.

For each picture and channel count there is the model's own file and, of each classical codec, the best one that
is no larger; where none is, the smallest there is.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from statistics import fmean

from omega_core.files import write_whole
from omega_core.images import Picture, psnr, read_picture
from omega_core.model import Model
from omega_core.rates import Rate
from omega_train.classical import QUALITIES, ClassicalCodec

AGAINST = tuple(QUALITIES)


@dataclass(frozen=True)
class Measurement:
    """Of one picture in one file.

    image: its name. codec: "omega" or a classical one's.
    channels: of the model's file or, for a classical codec, of the one it is compared with.
    quality: the setting of a classical codec, else 0.
    bytes: of the file. stream_bytes: of the entropy-coded stream in it; for a classical codec the same as `bytes`.
    bpp, stream_bpp: the same in bits per pixel. psnr: in dB, over all colours.
    """

    image: str
    codec: str
    channels: int
    quality: int
    bytes: int
    stream_bytes: int
    bpp: float
    stream_bpp: float
    psnr: float


@dataclass(frozen=True)
class Mean:
    """The means over all pictures, of a codec at (or compared with) a number of channels."""

    codec: str
    channels: int
    images: int
    bpp: float
    stream_bpp: float
    psnr: float


def measure(
    model: Model, picture: Picture, name: str, *, channels: Sequence[int] = (), against: Iterable[str] = AGAINST
) -> Iterator[Measurement]:
    """Measure a picture at some channel counts; at all the cuts of its file if there are none.

    Opacity and profile are left out: codecs are compared by what they do with colours. The picture is encoded
    once for all counts that are cuts; each is decoded from the bytes of its own file.

    Raises ImageError for the picture, RateError for a count that the model does not have.
    """
    pixels, (height, width) = picture.pixels, picture.size
    plain = Picture(pixels)
    encoded = model.encode(plain)
    classical = [ClassicalCodec(codec, pixels) for codec in against]

    def measured(codec: str, n: int, quality: int, size: int, stream: int, decibels: float) -> Measurement:
        per_pixel = 8 / (height * width)
        return Measurement(name, codec, n, quality, size, stream, size * per_pixel, stream * per_pixel, decibels)

    for n in channels or encoded.cuts:
        container = encoded.container if n in encoded.cuts else model.fit(plain, Rate(channels=n))
        data = container.file(n)
        decoded = read_picture(model.decompress(data)).pixels
        yield measured("omega", n, 0, len(data), container.cuts[n], psnr(pixels, decoded))
        for codec in classical:
            quality = codec.best_within(len(data))
            size = len(codec.file(quality))
            yield measured(codec.name, n, quality, size, size, codec.psnr(quality))


def summarise(measurements: Iterable[Measurement]) -> list[Mean]:
    """The means over pictures, for every codec and number of channels, in the order in which they first occur."""
    groups: dict[tuple[str, int], list[Measurement]] = {}
    for each in measurements:
        groups.setdefault((each.codec, each.channels), []).append(each)
    return [
        Mean(
            codec=codec,
            channels=channels,
            images=len(group),
            bpp=fmean(each.bpp for each in group),
            stream_bpp=fmean(each.stream_bpp for each in group),
            psnr=fmean(each.psnr for each in group),
        )
        for (codec, channels), group in groups.items()
    ]


def write_table(path: Path, rows: Sequence[Measurement] | Sequence[Mean]) -> None:
    """Measurements, or means, as CSV with their fields for columns. Raises OutputError."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([entry.name for entry in fields(rows[0])])
    writer.writerows([f"{v:.6g}" if isinstance(v, float) else v for v in astuple(row)] for row in rows)
    write_whole(path, text.getvalue().encode())
