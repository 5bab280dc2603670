"""How quickly the command starts: over a bare typer program, and over importing torch."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from measure import Row, commands
from models import untrained

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


def rows() -> Iterator[Row]:
    omega = str(Path(sys.executable).with_name("omega"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bare.py").write_text(BARE)
        ours, theirs = commands([omega, "--help"], [sys.executable, str(folder / "bare.py"), "--help"])
        yield Row("omega --help", "bare typer program", ours, theirs, 1.3)
        model = untrained(folder, "mnist-omega-8")
        Image.effect_noise((28, 28), 80).save(folder / "digit.png")
        compress = [omega, "compress", str(folder / "digit.png"), "--model", str(model), "--output", name]
        ours, theirs = commands(compress, [sys.executable, "-c", "import torch"])
        yield Row("omega compress, one picture of 28×28", "import torch", ours, theirs, 1.3)
