"""The time that the command takes to start, relative to a bare typer program, to itself and to importing torch."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

import omega_core
from measure import Row, commands
from models import untrained
from pictures import photo

OMEGA = str(Path(sys.executable).with_name("omega"))
BARE = """
import typer
from typing import Annotated

app = typer.Typer()

def command(name):
    def run(files: list[str], output: str = ".", model: str = "", channels: int = 0, bpp: float = 0.0,
            psnr: float = 0.0, force: bool = False, quiet: bool = False, jobs: int = 1):
        "Do it."
    run.__name__ = name
    app.command(name)(run)

for name in ("train", "evaluate", "compress", "decompress", "truncate", "info", "list", "plugins"):
    command(name)
app()
"""


PLUGIN = """
from omega_core import Component, hookimpl

@hookimpl
def omega_register_quantizers():
    return [Component(name="q{number}", target="plugin_{number}.quantizer:Quantizer", summary="one of many")]
"""


DECODE = "import sys, omega_core; omega_core.load_model(sys.argv[1]).decompress(sys.argv[2])"


def crowded(folder: Path) -> Path:
    """A folder with 50 distributions of one plugin each. 5 fail to be imported, and 2 have the same name."""
    site = folder / "site"
    for number in range(50):
        info = site / f"plugin_{number}-1.0.dist-info"
        info.mkdir(parents=True)
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: plugin-{number}\nVersion: 1.0\n")
        info.joinpath("entry_points.txt").write_text(f"[omega]\nit = plugin_{number}\n")
        text = "import nothing_like_it" if number < 5 else PLUGIN.replace("{number}", str(min(number, 48)))
        (site / f"plugin_{number}.py").write_text(text)
    return site


def exported(folder: Path) -> str:
    """The path of `compact`, exported for onnxruntime."""
    path = str(folder / "exported")
    subprocess.run([OMEGA, "export-onnx", "compact", "--output", path], check=True, stdout=subprocess.DEVNULL)
    return path


def rows() -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        yield from rows_without_torch(folder)
        yield from rows_with_pictures(folder)


def rows_without_torch(folder: Path) -> Iterator[Row]:
    """Commands that import no torch, with and without plugins."""
    (folder / "bare.py").write_text(BARE)
    words = {"_OMEGA_COMPLETE": "complete_bash", "COMP_WORDS": "omega compress --model c", "COMP_CWORD": "3"}
    completing, crowd = {**os.environ, **words}, {**os.environ, "PYTHONPATH": str(crowded(folder))}
    helping, listing = [OMEGA, "--help"], [OMEGA, "list"]
    shown, bare, completed, shown_in_crowd, listed, listed_in_crowd = commands(
        helping,
        [sys.executable, str(folder / "bare.py"), "--help"],
        [OMEGA],
        helping,
        listing,
        listing,
        environments=[None, None, completing, crowd, None, crowd],
    )
    yield Row("omega --help", "bare typer program", shown, bare, 1.3)
    yield Row("completion of a model's name", "omega --help", completed, shown, 2)
    yield Row("omega --help with 50 plugins, 5 broken", "without them", shown_in_crowd, shown, 1.1)
    yield Row("omega list with 50 plugins, 5 broken", "without them", listed_in_crowd, listed, 3)


def rows_with_pictures(folder: Path) -> Iterator[Row]:
    """Commands for one small picture."""
    Image.effect_noise((28, 28), 80).save(folder / "digit.png")
    photo(90, 60).save(folder / "photo.png")
    model, other = untrained(folder, "mnist-omega-8"), exported(folder)
    output = ["--output", str(folder), "--overwrite"]
    file = folder / "known.omega"
    file.write_bytes(omega_core.compress(folder / "photo.png", "compact"))
    torch, digit, defaults, decoded = commands(
        [sys.executable, "-c", "import torch"],
        [OMEGA, "compress", str(folder / "digit.png"), "--model", str(model), *output],
        [OMEGA, "compress", str(folder / "photo.png"), *output],
        [sys.executable, "-c", DECODE, other, str(file)],
    )
    yield Row("omega compress, one picture of 28×28", "import torch", digit, torch, 1.3)
    yield Row("omega compress, one photo of 90×60, no options", "import torch", defaults, torch, 1.7)
    yield Row("decoding 90×60 with an exported model", "import torch", decoded, torch, 1.0)
