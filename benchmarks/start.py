"""The time that the command takes to start, relative to a bare typer program and to importing torch."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

import omega_core
from measure import Row, commands
from models import photo, untrained

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


def rows() -> Iterator[Row]:
    omega = str(Path(sys.executable).with_name("omega"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bare.py").write_text(BARE)
        ours, theirs = commands([omega, "--help"], [sys.executable, str(folder / "bare.py"), "--help"])
        yield Row("omega --help", "bare typer program", ours, theirs, 1.3)
        words = {"_OMEGA_COMPLETE": "complete_bash", "COMP_WORDS": "omega compress --model c", "COMP_CWORD": "3"}
        ours, theirs = commands([omega], [omega, "--help"], environments=[{**os.environ, **words}, None])
        yield Row("completion of a model's name", "omega --help", ours, theirs, 2)
        crowd = {**os.environ, "PYTHONPATH": str(crowded(folder))}
        ours, theirs = commands([omega, "--help"], [omega, "--help"], environments=[crowd, None])
        yield Row("omega --help with 50 plugins, 5 broken", "without them", ours, theirs, 1.1)
        [ours] = commands([omega, "list"], environments=[crowd])
        yield Row("omega list with 50 plugins, 5 broken", "half a second", ours, 0.5, 1.0)
        model = untrained(folder, "mnist-omega-8")
        Image.effect_noise((28, 28), 80).save(folder / "digit.png")
        compress = [
            omega,
            "compress",
            str(folder / "digit.png"),
            "--model",
            str(model),
            "--output",
            name,
            "--overwrite",
        ]
        ours, theirs = commands(compress, [sys.executable, "-c", "import torch"])
        yield Row("omega compress, one picture of 28×28", "import torch", ours, theirs, 1.3)
        exported, file = folder / "exported", folder / "photo.omega"
        subprocess.run(
            [omega, "export-onnx", "compact", "--output", str(exported)], check=True, stdout=subprocess.DEVNULL
        )
        file.write_bytes(omega_core.compress(photo(90, 60), "compact"))
        ours, theirs = commands(
            [sys.executable, "-c", DECODE, str(exported), str(file)], [sys.executable, "-c", "import torch"]
        )
        yield Row("decoding 90×60 with an exported model", "import torch", ours, theirs, 1.0)
