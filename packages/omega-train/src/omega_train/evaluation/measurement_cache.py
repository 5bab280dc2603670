"""Measurements of codecs to compare with, kept in the cache for later evaluations of the same pictures.

Encoding with other codecs takes most of the time of an evaluation, and gives the same each time. In the folder
`measurements` of the cache there is a CSV file for each picture and codec. Everything in it can be deleted at any time.
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
from omega_core.contracts.codec import Codec
from omega_core.errors import OutputError
from omega_core.images.pictures import Pixels
from omega_train.evaluation.measurements import Measurement, read_measurements, write_table
from omega_train.evaluation.perceptual import PACKAGES

LEAST_PIXELS = 1 << 16
"""The least pixels of a picture that is worth a file: small ones come in thousands, and are encoded quickly."""
_MEASURES = ("omega-core", "omega-train", "numpy", "pillow", "torch")
_MEASURING = 1  # is raised when the code that measures changes what it finds


class CachedMeasurements:
    """The measurements of a picture with a codec to compare with, in the cache.

    codec: the codec. pixels: of the picture, (colors, H, W), uint8. metrics: the metrics that are measured.

    They are found by the content of the picture, what `Codec.describe` tells, the settings, the metrics, and the
    versions of what measures: not by names. Those of codecs that are not `Codec.cacheable`, and of small pictures, are
    not kept.
    """

    def __init__(self, codec: Codec, pixels: Pixels, metrics: Collection[str]) -> None:
        self.settings = list(codec.settings)
        self._path = _path(codec, pixels, metrics) if codec.cacheable and pixels[0].size >= LEAST_PIXELS else None

    def find(self, codec: str, image: str) -> list[Measurement] | None:
        """Return the measurements; None if there are none.

        codec, image: names, for the result.
        """
        if self._path is None:
            return None
        try:
            found = read_measurements(self._path)
        except (OSError, ValueError, KeyError, csv.Error):  # not there, or damaged
            return None
        if [each.setting for each in found] != self.settings:
            return None
        return [replace(each, codec=codec, image=image) for each in found]

    def keep(self, measurements: list[Measurement]) -> None:
        """Keep measurements, without names, if the cache can be written."""
        if self._path is not None:
            with suppress(OutputError):
                write_table(self._path, [replace(each, codec="", image="") for each in measurements])


def _path(codec: Codec, pixels: Pixels, metrics: Collection[str]) -> Path | None:
    """Where the measurements of a picture are; None if there is no folder for a cache, or a version is not known."""
    measures = [*_MEASURES, *(PACKAGES[metric] for metric in metrics if metric in PACKAGES)]
    try:
        versions = {name: version(name) for name in measures}
        folder = cache_folder() / "measurements"
    except (PackageNotFoundError, RuntimeError):  # a checkout on the path; no home folder
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
