"""`compact` compared with other codecs: time and memory for one photo, relative to WebP with method 6.

Every codec runs in its own process, once before it is measured. Codecs whose library is not installed are left out.
AVIF has speed 6, JPEG XL effort 7, HEIC the preset slow. All files have about half a bit per pixel, except those of
`compact (whole)`, which have all of its symbols, as without a given rate.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from measure import Row, peak_memory
from omega_core.errors import OmegaError
from omega_core.plugins.registry import build

SIZES = {"768×512": (768, 512), "12 megapixels": (4242, 2828)}
THREADS = (1, 2)
YARDSTICK = "webp"
SETTINGS = {"webp": 30, "avif": 45, "jxl": 50, "heic": 40, "compressai": 3}
"""The setting of each codec: about half a bit per pixel for photos."""
RATES = {"compact (whole)": None, "compact": 0.5}
"""The bits per pixel of each file of `compact`; None for all of its symbols."""


def rows() -> Iterator[Row]:
    from models import photo

    with tempfile.TemporaryDirectory() as folder:
        for size, (width, height) in SIZES.items():
            pixels = Path(folder) / f"{width}x{height}.npy"
            np.save(pixels, np.asarray(photo(width, height)).transpose(2, 0, 1))
            for threads in THREADS:
                yield from _rows_of(pixels, f"{size}, {threads} thread{'s' * (threads > 1)}", threads)


def _rows_of(pixels: Path, what: str, threads: int) -> Iterator[Row]:
    webp = measured(YARDSTICK, pixels, threads)
    for name in (*RATES, *SETTINGS):
        values = webp if name == YARDSTICK else measured(name, pixels, threads)
        if values is not None and webp is not None:
            yield Row(f"encoding, {name}, {what}", YARDSTICK, values[0], webp[0])
            yield Row(f"decoding, {name}, {what}", YARDSTICK, values[1], webp[1])
            yield Row(f"memory, {name}, {what}", YARDSTICK, values[2], webp[2], unit="MiB")


def measured(name: str, pixels: Path, threads: int) -> list[float] | None:
    """Seconds of encoding and decoding, and the peak memory in MiB; None if the codec is not installed."""
    command = [sys.executable, str(Path(__file__)), name, str(pixels)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return [float(part) for part in done.stdout.split()] or None


def _compact(name: str) -> tuple[Callable[[np.ndarray], bytes], Callable[[bytes], object]]:
    import omega_core

    model = omega_core.load_model("compact")
    return lambda pixels: model.compress(pixels.transpose(1, 2, 0), bpp=RATES[name]), model.decompress


def _codec(name: str) -> tuple[Callable[[np.ndarray], bytes], Callable[[bytes], object]]:
    codec = build("codec", name, {})
    return lambda pixels: codec.encode(pixels, SETTINGS[name]), lambda data: codec.decode(data, 3)


def main(name: str, path: str) -> None:
    """Print the figures of one codec, or nothing if it is not installed."""
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
    print(*(statistics.median(way) for way in zip(*taken[1:], strict=True)), peak_memory())


if __name__ == "__main__":
    main(*sys.argv[1:])
