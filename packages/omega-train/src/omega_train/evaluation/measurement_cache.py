"""Measurements of baseline codecs, kept in the cache for later evaluations of the same pictures.

Encoding with these codecs takes most of the time of an evaluation, and always gives the same result. The folder
`measurements` of the cache has a CSV file for each picture and codec. It can be deleted at any time.
"""

import csv
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from omega_core.cache import cache_folder
from omega_core.contracts.codec import BaselineCodec
from omega_core.errors import OutputError
from omega_core.images.pictures import Pixels
from omega_train.evaluation.measurements import Measurement, read_measurements, write_table
from omega_train.evaluation.perceptual import PACKAGES

MIN_PIXELS = 1 << 16
"""The minimum number of pixels of a cached picture: smaller ones come in thousands and are encoded quickly."""
_MEASURES = ("omega-core", "omega-train", "numpy", "pillow", "torch")
_MEASURING = 1  # version of the measuring code; to be raised when its results change


class CachedMeasurements:
    """The measurements of a picture with a baseline codec, in the cache.

    codec: the codec. pixels: the picture (colors, H, W), uint8. metrics: the metrics that are measured.

    The key consists of the content of the picture, the class of the codec, `BaselineCodec.describe`, the settings, the
    metrics, and the versions of the measuring packages, but not of names. Measurements of small pictures, and of codecs
    that are not `BaselineCodec.cacheable`, are not kept.
    """

    def __init__(self, codec: BaselineCodec, pixels: Pixels, metrics: Collection[str]) -> None:
        self.settings = list(codec.settings)
        self._path = _path(codec, pixels, metrics) if codec.cacheable and pixels[0].size >= MIN_PIXELS else None

    def find(self, codec: str, image: str) -> list[Measurement] | None:
        """Return the measurements; None if there are none.

        codec, image: names for the result.
        """
        if self._path is None:
            return None
        try:
            found = read_measurements(self._path)
        except (OSError, ValueError, KeyError, csv.Error):  # the file is missing or damaged
            return None
        if [each.setting for each in found] != self.settings:
            return None
        return [replace(each, codec=codec, image=image) for each in found]

    def keep(self, measurements: list[Measurement]) -> None:
        """Store measurements without names, if the cache can be written."""
        if self._path is not None:
            with suppress(OutputError):
                write_table(self._path, [replace(each, codec="", image="") for each in measurements])


def _path(codec: BaselineCodec, pixels: Pixels, metrics: Collection[str]) -> Path | None:
    """The path of the measurements of a picture; None if there is no cache folder, or a version is unknown."""
    measures = [*_MEASURES, *(PACKAGES[metric] for metric in metrics if metric in PACKAGES)]
    try:
        versions = {name: version(name) for name in measures}
        folder = cache_folder() / "measurements"
    except (PackageNotFoundError, RuntimeError):  # a package is not installed; there is no home folder
        return None
    about = {
        "measuring": _MEASURING,
        "codec": [f"{type(codec).__module__}.{type(codec).__qualname__}", codec.describe(), list(codec.settings)],
        "metrics": sorted(metrics),
        "versions": versions,
        "shape": pixels.shape,
    }
    key = sha256(json.dumps(about, sort_keys=True).encode())
    key.update(pixels.tobytes())
    return folder / f"{key.hexdigest()[:32]}.csv"
