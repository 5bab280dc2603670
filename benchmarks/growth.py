"""How time and memory grow with pixels, channels and symbols, as a table and a plot: linear or better.

Pixels are varied with the bundled `compact`. Channels and symbols are varied with untrained models of its recipe. These
have one table for each channel, so their entropy coding is faster: see models.py.

python growth.py [PLOT.svg]
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import omega_core
from measure import in_a_process, peak_memory
from pictures import photo

BUNDLED, RECIPE = "compact", "compact-omega"
MEGAPIXELS = (0.1, 0.4, 1.6, 6.4, 25.0)
"""Decoding more than 33 megapixels would exceed the default limit on memory."""
CHANNELS = (60, 120, 240, 480, 960)
ALPHABETS = (16, 64, 256, 1024)
SIDES = (768, 512)
"""The width and height of the picture for different numbers of channels and symbols."""
WARM_UP = (64, 64)


def sides(megapixels: float) -> tuple[int, int]:
    """The width and height, in the ratio 3:2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    return round(1.5 * height), height


def measured(model: str, folder: Path, width: int, height: int) -> dict[str, float]:
    """Seconds and MiB for encoding and decoding a picture, each in its own process, after a small picture.

    model: the name or path of the model.
    folder: where the picture and its file are written.
    """
    pixels, file = folder / "picture.npy", folder / "picture.omega"
    np.save(pixels, np.asarray(photo(width, height)))
    values = dict[str, float]()
    for way in ("encode", "decode"):
        values |= json.loads(in_a_process("growth", way, model, str(pixels), str(file)))
    return values


def one(way: str, name: str, pixels: Path, file: Path) -> dict[str, float]:
    """Measure one picture in this process.

    way: "encode" writes the file of the pixels, "decode" reads it.
    name: the name or path of the model.
    """
    model = omega_core.load_model(name)
    model.decompress(model.compress(photo(*WARM_UP)))
    source = np.load(pixels) if way == "encode" else file.read_bytes()
    start = time.perf_counter()
    result = model.compress(source) if way == "encode" else model.decompress(source)
    taken = time.perf_counter() - start
    if isinstance(result, bytes):
        file.write_bytes(result)
    return {f"{way} s": taken, f"{way} MiB": peak_memory()}


def main(plot: Path | None) -> None:
    from models import untrained  # not above, because the processes in which memory is measured need no omega-train

    series: dict[str, dict[float, dict[str, float]]] = {"megapixels": {}, "channels C": {}, "symbols S": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for megapixels in MEGAPIXELS:
            series["megapixels"][megapixels] = measured(BUNDLED, folder, *sides(megapixels))
        for channels in CHANNELS:
            model = untrained(folder, RECIPE, channels=f"0:{channels}")
            series["channels C"][channels] = measured(str(model), folder, *SIDES)
        for alphabet in ALPHABETS:
            model = untrained(folder, RECIPE, alphabet=alphabet)
            series["symbols S"][alphabet] = measured(str(model), folder, *SIDES)
    for name, points in series.items():
        print(f"{name:>12}{''.join(f'{column:>12}' for column in points[min(points)])}")
        for at, values in points.items():
            print(f"{at:>12}{''.join(f'{value:>12.2f}' for value in values.values())}")
    if plot is not None:
        draw(series, plot)


def draw(series: dict[str, dict[float, dict[str, float]]], path: Path) -> None:
    """Plot time above memory, on logarithmic axes: a line of slope 1 is linear growth."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(series), figsize=(11, 6), layout="constrained")
    for column, (name, points) in zip(axes.T, series.items(), strict=True):
        at = list(points)
        for axis, unit in zip(column, ("s", "MiB"), strict=True):
            for way, style in (("encode", "-o"), ("decode", "--s")):
                values = [points[x][f"{way} {unit}"] for x in at]
                axis.loglog(at, values, style, color="black", markersize=4, label=way)
            first = points[at[0]][f"encode {unit}"]
            axis.loglog(at, [first * x / at[0] for x in at], ":", color="gray", label="linear")
            axis.set_xlabel(name)
            axis.set_ylabel("seconds" if unit == "s" else "peak memory of the process, MiB")
            axis.set_xticks(at, [f"{x:g}" for x in at])
            axis.minorticks_off()
    axes[0, 0].legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in ("encode", "decode"):
        way, name, pixels, file = sys.argv[1:]
        print(json.dumps(one(way, name, Path(pixels), Path(file))))
    else:
        main(Path(sys.argv[1]) if sys.argv[1:] else None)
