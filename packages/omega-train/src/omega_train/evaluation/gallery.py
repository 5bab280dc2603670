"""The pictures of a report's page: originals and decoded pictures, as data URLs of limited size."""

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import chain
from typing import Any

from PIL import Image

from omega_core.images.pictures import Pixels
from omega_core.images.writing import to_pillow
from omega_train.evaluation.measurements import Decoded, Measurement

MAX_SETTINGS = 10
"""The maximum number of settings of a codec for a picture: enough for a smooth slider."""
MAX_BPP = 2.0
"""Files of higher rates are left out, because they look like the original."""
MAX_BYTES = 1_500_000
"""The maximum number of bytes of a picture in the page, for all codecs together."""
MAX_SIDES = (768, 1024)
"""The maximum numbers of rows and columns that are shown: larger pictures are cropped to their middle."""
_LOSSLESS_PIXELS = 1 << 16  # maximum number of pixels of a picture that is shown without loss
_SHOWN_BY_BROWSERS = {"jpeg", "webp", "avif"}


@dataclass(frozen=True)
class Coded:
    """A picture in the files of a codec.

    codec: the name of the codec. decoded: the files and their pixels. measurements: of each file, in the same order.
    """

    codec: str
    decoded: Sequence[Decoded]
    measurements: Sequence[Measurement]


def gallery_picture(image: str, original: Pixels, coded: Sequence[Coded]) -> dict[str, Any]:
    """Return a picture for the page, to be stored as JSON.

    image: the name of the picture. original: its pixels. coded: the decoded files of each codec.

    Small pictures are shown without loss, others as WebP of high quality. If this takes more than MAX_BYTES, the
    quality is reduced, then the number of settings. Measurements are of the decoded pixels, not of the WebP.
    """
    rows, columns = (_middle(side, most) for side, most in zip(original.shape[1:], MAX_SIDES, strict=True))
    whole = (rows, columns) == (slice(0, original.shape[1]), slice(0, original.shape[2]))
    part = None if whole else (rows, columns)
    indices = [_worth_showing(each.measurements) for each in coded]

    @cache
    def url(codec: int, index: int, quality: int | None) -> str:
        return _url(coded[codec].measurements[index], coded[codec].decoded[index], part, quality)

    def expected(quality: int | None, most: int) -> float:
        """Estimate the bytes of all versions from the first and the last of each codec, because encoding is slow."""
        ends = [(codec, min(most, len(each)) / 2, (each[0], each[-1])) for codec, each in enumerate(indices)]
        return sum(count * len(url(codec, index, quality)) for codec, count, both in ends for index in both)

    page: dict[str, Any] = {}
    *tries, last = _tries(original[:, rows, columns])
    for quality, most in chain((each for each in tries if expected(*each) <= MAX_BYTES), [last]):
        page = {
            "image": image,
            "width": columns.stop - columns.start,
            "height": rows.stop - rows.start,
            "part": "" if whole else f"the middle {columns.stop - columns.start}×{rows.stop - rows.start} pixels",
            "original": _pixels_url(original[:, rows, columns], quality),
            "codecs": [
                {
                    "codec": each.codec,
                    "versions": [
                        {**asdict(each.measurements[index]), "picture": url(codec, index, quality)}
                        for index in thinned(indices[codec], most)
                    ],
                }
                for codec, each in enumerate(coded)
            ],
        }
        if _size(page) <= MAX_BYTES:
            break
    return page


def _worth_showing(measurements: Sequence[Measurement]) -> list[int]:
    """The indices of the files up to MAX_BPP, or of all files if there is none."""
    low = [index for index, row in enumerate(measurements) if row.bpp <= MAX_BPP]
    return low or list(range(len(measurements)))


def thinned(settings: Sequence[Any], most: int = MAX_SETTINGS) -> list[Any]:
    """Return at most `most` settings, evenly spaced, with the first and the last."""
    if len(settings) <= most:
        return list(settings)
    last = len(settings) - 1
    return [settings[round(i * last / (most - 1))] for i in range(most)]


def _middle(side: int, most: int) -> slice:
    start = max(0, (side - most) // 2)
    return slice(start, start + min(side, most))


def _tries(pixels: Pixels) -> Iterator[tuple[int | None, int]]:
    """Qualities of WebP (None for lossless) and numbers of settings, from the best to the smallest."""
    if pixels[0].size <= _LOSSLESS_PIXELS:
        yield None, MAX_SETTINGS
    yield 92, MAX_SETTINGS
    for most in (MAX_SETTINGS, 7, 5, 3, 2):
        yield 85, most
        yield 75, most


def _size(page: dict[str, Any]) -> int:
    versions = [version for each in page["codecs"] for version in each["versions"]]
    return len(page["original"]) + sum(len(version["picture"]) for version in versions)


def _url(row: Measurement, decoded: Decoded, part: tuple[slice, slice] | None, quality: int | None) -> str:
    """The data URL of a decoded picture, or of the file itself if browsers show it and it is smaller."""
    pixels = decoded.pixels if part is None else decoded.pixels[:, part[0], part[1]]
    url = _pixels_url(pixels, quality)
    if part is None and row.codec in _SHOWN_BY_BROWSERS and row.estimated_bpp is None:
        own = _data_url(f"image/{row.codec}", decoded.data)
        return min(own, url, key=len)
    return url


def _data_url(kind: str, data: bytes) -> str:
    """The data URL of a picture file."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _pixels_url(pixels: Pixels, quality: int | None) -> str:
    """The data URL of pixels, as WebP; quality: None for lossless."""
    buffer = io.BytesIO()
    picture: Image.Image = to_pillow(pixels).convert("RGB")
    lossy = {"quality": quality, "method": 1}  # a third of the default's time, for files hardly larger
    picture.save(buffer, "WEBP", **({"lossless": True, "method": 3} if quality is None else lossy))
    return _data_url("image/webp", buffer.getvalue())
