"""`compact` compared with other codecs: time and memory for one photo, relative to WebP with method 6.

Every codec runs in its own process, once before it is measured. Codecs whose library is not installed are left out.
AVIF has speed 6, JPEG XL effort 7, HEIC the preset slow. Their settings are those whose files of 768×512 are nearest to
half a bit per pixel; HEIC has none between 0.47 and 0.54. The rows `bits per pixel` show what files have. The size of
AVIF files depends on the number of cores. Files of `compact (whole)` have all of its symbols, as without a given rate.

With one thread, a process may use only one core, because most of these libraries have no limit on threads. WebP is
measured before and after the others, and its lower times count, because a machine may become slower in between.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from measure import Row, peak_memory
from omega_core.errors import OmegaError
from omega_core.plugins.registry import build

SIZES = {"768×512": (768, 512), "12 megapixels": (4242, 2828)}
THREADS = (1, 2)
YARDSTICK = "webp"
SETTINGS = {"webp": 22, "avif": 40, "jxl": 42, "heic": 27, "compressai": 3}
"""The setting of each codec: see the module docstring."""
RATE = 0.5
RATES = {"compact (whole)": None, "compact": RATE}
"""The bits per pixel of each file of `compact`; None for all of its symbols."""


@dataclass(frozen=True)
class Figures:
    """Seconds of encoding and decoding, the peak memory in MiB, and the bits per pixel of the file."""

    encoding: float
    decoding: float
    memory: float
    bits_per_pixel: float


def rows() -> Iterator[Row]:
    from pictures import photo  # not above, because it imports torch, which other codecs do not need

    with tempfile.TemporaryDirectory() as folder:
        for size, (width, height) in SIZES.items():
            pixels = Path(folder) / f"{width}x{height}.npy"
            np.save(pixels, np.asarray(photo(width, height)).transpose(2, 0, 1))
            for threads in THREADS:
                yield from rows_of(measured_in_turn(pixels, threads), f"{size}, {threads} thread{'s' * (threads > 1)}")


def measured_in_turn(pixels: Path, threads: int) -> dict[str, Figures]:
    """The figures of all installed codecs, each in its own process."""
    names = (YARDSTICK, *RATES, *(name for name in SETTINGS if name != YARDSTICK))
    found = {name: figures for name in names if (figures := measured(name, pixels, threads)) is not None}
    if (before := found.get(YARDSTICK)) and (after := measured(YARDSTICK, pixels, threads)):
        encoding, decoding = min(before.encoding, after.encoding), min(before.decoding, after.decoding)
        found[YARDSTICK] = replace(before, encoding=encoding, decoding=decoding)
    return found


def rows_of(found: dict[str, Figures], what: str) -> Iterator[Row]:
    """Time and memory relative to those of WebP, if it is installed, and bits per pixel relative to half a bit."""
    for name, figures in found.items():
        yield Row(f"bits per pixel, {name}, {what}", f"{RATE:g}", figures.bits_per_pixel, RATE, unit="bpp")
    if (webp := found.get(YARDSTICK)) is None:
        return
    for name, figures in found.items():
        yield Row(f"encoding, {name}, {what}", YARDSTICK, figures.encoding, webp.encoding)
        yield Row(f"decoding, {name}, {what}", YARDSTICK, figures.decoding, webp.decoding)
        yield Row(f"memory, {name}, {what}", YARDSTICK, figures.memory, webp.memory, unit="MiB")


def measured(name: str, pixels: Path, threads: int) -> Figures | None:
    """The figures of a codec, from a process of its own; None if the codec is not installed."""
    command = [sys.executable, str(Path(__file__)), name, str(pixels), str(threads)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}  # for systems where cores cannot be chosen
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    values = [float(part) for part in done.stdout.split()]
    return Figures(*values) if values else None


def _compact(name: str) -> tuple[Callable[[np.ndarray], bytes], Callable[[bytes], object]]:
    import omega_core

    model = omega_core.load_model("compact")
    return lambda pixels: model.compress(pixels.transpose(1, 2, 0), bpp=RATES[name]), model.decompress


def _codec(name: str) -> tuple[Callable[[np.ndarray], bytes], Callable[[bytes], object]]:
    codec = build("codec", name, {})
    return lambda pixels: codec.encode(pixels, SETTINGS[name]), lambda data: codec.decode(data, 3)


def main(name: str, path: str, threads: str) -> None:
    """Print the figures of one codec, or nothing if it is not installed."""
    if hasattr(os, "sched_setaffinity"):  # before libraries count the cores for their threads
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(threads)])
    try:
        encode, decode = _compact(name) if name in RATES else _codec(name)
    except OmegaError as problem:
        print(f"{name} is left out: {problem}", file=sys.stderr)
        return
    pixels = np.load(path)
    taken: list[tuple[float, float]] = []
    for _ in range(6 if pixels[0].size < 1e6 else 3):
        start = time.perf_counter()
        data = encode(pixels)
        middle = time.perf_counter()
        decode(data)
        taken.append((middle - start, time.perf_counter() - middle))
    medians = (statistics.median(way) for way in zip(*taken[1:], strict=True))
    print(*medians, peak_memory(), 8 * len(data) / pixels[0].size)


if __name__ == "__main__":
    main(*sys.argv[1:])
