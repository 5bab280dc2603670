"""How time and memory grow with pixels, channels and symbols, as a table and a plot: linear or better.

python growth.py [PLOT.svg]
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import omega_core
from measure import in_a_process, peak_memory
from models import photo, untrained

RECIPE = "compact-omega"
MEGAPIXELS = (0.1, 0.4, 1.6, 6.4, 25.0)
CHANNELS = (60, 120, 240, 480, 960)
ALPHABETS = (16, 64, 256, 1024)
SIDE = (768, 512)
"""The size of the picture for different numbers of channels and symbols."""


def sides(megapixels: float) -> tuple[int, int]:
    """The width and height, in the ratio 3:2."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    return round(1.5 * height), height


def measured(model: Path, width: int, height: int) -> dict[str, float]:
    """Seconds and MiB for encoding and decoding a picture, each in its own process, after a small picture."""
    arguments = str(model), str(width), str(height)
    coded = json.loads(in_a_process("growth", "encode", *arguments))
    return {**coded, **json.loads(in_a_process("growth", "decode", *arguments))}


def one(way: str, path: str, width: int, height: int) -> dict[str, float]:
    """Measure one picture in this process. way: "encode" or "decode"."""
    model, file = omega_core.load_model(path), Path(path).with_suffix(f".{width}.omega")
    small = model.compress(photo(64, 64))
    model.decompress(small)
    picture = photo(width, height) if way == "encode" else None
    start = time.perf_counter()
    if picture is not None:
        data = model.compress(picture)
    else:
        model.decompress(file.read_bytes())
    taken = time.perf_counter() - start
    if picture is not None:
        file.write_bytes(data)
    return {f"{way} s": taken, f"{way} MiB": peak_memory()}


def main(plot: Path | None) -> None:
    series: dict[str, dict[float, dict[str, float]]] = {"megapixels": {}, "channels C": {}, "symbols S": {}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for megapixels in MEGAPIXELS:
            series["megapixels"][megapixels] = measured(untrained(folder, RECIPE), *sides(megapixels))
        for channels in CHANNELS:
            model = untrained(folder, RECIPE, channels=f"0:{channels}")
            series["channels C"][channels] = measured(model, *SIDE)
        for alphabet in ALPHABETS:
            series["symbols S"][alphabet] = measured(untrained(folder, RECIPE, alphabet=alphabet), *SIDE)
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
        print(json.dumps(one(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
    else:
        main(Path(sys.argv[1]) if sys.argv[1:] else None)
